"""The training process: `python -m learning.trainer FOLDER` reads job.json there and leaves an adapter behind.

In FOLDER: plan.json, progress.jsonl (one event a line), checkpoints/, adapter/, and last of all result.json or
error.json. Killed at any moment it can be started again and goes on from the last checkpoint, to the same adapter.
"""

import errno
import itertools
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from torch import nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import TrainerCallback
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

from learning.adapter_files import CONFIG, MANIFEST, SCOPE, WEIGHTS, AdapterManifest, write_manifest
from learning.base_model import BaseModel, load, skeleton
from learning.curation import ROWS_FILE, read_records, read_snapshot
from learning.distillation import Teacher
from learning.durable import write_json
from learning.encoding import Encoder
from learning.facts import facts_of, subjects_of
from learning.fused import fuse, use_short_attention
from learning.hardware import Hardware, detect, peak_device_mb, peak_memory_mb, product_rate
from learning.losses import LossWeights, row_logprobs, step_loss
from learning.meaning import load_meaning, question_states
from learning.packing import Role, TokenRow, collate, packed_step, packs
from learning.plan import (
    EFFICIENCY,
    PLAN,
    Machine,
    MemoryBudgetExceeded,
    ModelShape,
    Plan,
    Speed,
    check_base_fits,
    device_memory,
    make_plan,
    over_budget,
    read_plan,
    recorded_evaluation,
    recorded_memory,
    recorded_speed,
    shape_of,
)
from learning.recipe import Method, Recipe
from learning.replay import load_replay, replay_rows
from learning.scope import Scope, fit_scope, write_scope
from learning.splitting import Load, load_of, most_parts, part_shares, scaled, split_step
from learning.states import Vectors
from learning.steps import measured_disagreement, plan_rows
from learning.training import CANCELLED_CODE, FAILED_CODE, TrainingJob, read_progress
from learning.wordings import Fact
from storage.errors import ApprenticeError

ADAPTER_FILES = (WEIGHTS, CONFIG, MANIFEST, SCOPE)
GENERATED_AT_ONCE = 16
CHECKPOINTS_KEPT = 2
REFERENCE_TOKENS = 512
"""Of one forward pass for reference log-probabilities, which needs no gradient."""
UNREFERENCED: tuple[Role, ...] = ("learned", "replayed", "sampled")


class Cancelled(Exception):  # noqa: N818 - not an error: it was asked for
    """SIGTERM came."""


class Progress:
    """Writes events for the parent; each line is whole or absent."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, phase: str, step: int = 0, total: int = 0, **values: Any) -> None:
        """Append one event."""
        line = json.dumps({"phase": phase, "step": step, "total": total, **values}) + "\n"
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)


class _Packed:
    """Makes one of TRL's trainers take packed steps, in their given order, with the losses of learning/losses.py."""

    weights = LossWeights()
    teacher: Teacher | None = None
    b_ratio = 1.0
    state: Any
    model: Any
    args: Any
    optimizer: Any
    train_dataset: Any

    def _prepare_dataset(self, dataset: Dataset, *_: Any, **__: Any) -> Dataset:
        return dataset

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Make AdamW with the B matrices at their own learning rate."""
        self.optimizer = create_loraplus_optimizer(
            model or self.model,
            torch.optim.AdamW,
            lr=self.args.learning_rate,
            loraplus_lr_ratio=self.b_ratio,
            weight_decay=self.args.weight_decay,
        )
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int]:
        return SequentialSampler(train_dataset if train_dataset is not None else self.train_dataset)

    # A step's parts have their shares of its loss, which add up to it.
    loss_is_scaled_for_ga = True

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,  # noqa: FBT001, FBT002 - the overridden signature
        num_items_in_batch: Any = None,  # noqa: ARG002
    ) -> Any:
        """Return the loss of one packed step."""
        if self.teacher is not None:
            inputs = self.teacher.inputs(model, self.state.global_step)
        shares = inputs.pop("shares", None)
        weights = self.weights if shares is None else scaled(self.weights, shares.tolist())
        loss = step_loss(model, inputs, weights)
        return (loss, {}) if return_outputs else loss


class PackedSFTTrainer(_Packed, SFTTrainer):
    """Learns from corrections, alone or with all the rest."""


class PackedDPOTrainer(_Packed, DPOTrainer):
    """Learns from preference pairs."""


class PackedKTOTrainer(_Packed, KTOTrainer):
    """Learns from likes and dislikes."""


class Reporter(TrainerCallback):
    """Sends progress after each step, and keeps the budgets: out of time it stops, out of memory it raises.

    `clock` gives the seconds that the run has taken so far, those before it was killed and resumed included.
    """

    def __init__(self, progress: Progress, plan: Plan, clock: Callable[[], float]) -> None:
        self._progress = progress
        self._plan = plan
        self._clock = clock
        self._first_step = 0
        self._started = clock()
        self.loss = 0.0
        self.seconds_per_step: float | None = None

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        """Start the clock; a resumed run begins at a later step."""
        self._started, self._first_step = self._clock(), state.global_step

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep the budgets."""
        now, held = self._clock(), device_memory(self._plan.device).peak
        self.seconds_per_step = (now - self._started) / (state.global_step - self._first_step)
        if held > self._plan.max_memory_mb:
            raise over_budget(self._plan, held)
        if now > self._plan.training_seconds:
            control.should_training_stop = True

    def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, float], **_: Any) -> None:
        """Report the step's loss, the steps a second and the seconds left."""
        if "loss" not in logs:
            return
        self.loss = logs["loss"]
        rate = 1 / self.seconds_per_step if self.seconds_per_step else 0.0
        left = (state.max_steps - state.global_step) / rate if rate else None
        self._progress.write(
            "training", state.global_step, state.max_steps, loss=self.loss, rate=rate, seconds_left=left,
            seconds_spent=self._clock(),
        )  # fmt: skip


def generate_answers(model: Any, encoder: Encoder, questions: Sequence[str], max_new_tokens: int) -> list[str]:
    """Answer greedily with the model as it is."""
    pieces = [questions[at : at + GENERATED_AT_ONCE] for at in range(0, len(questions), GENERATED_AT_ONCE)]
    return list(itertools.chain.from_iterable(_generate(model, encoder, piece, max_new_tokens) for piece in pieces))


@torch.no_grad()
def _generate(model: Any, encoder: Encoder, questions: Sequence[str], max_new_tokens: int) -> list[str]:
    tokenizer, prefix = encoder.tokenizer, encoder.prefix()
    prompts = [[*prefix, *encoder.row(question, "").prompt] for question in questions]
    width = max(map(len, prompts))
    padding = tokenizer.eos_token_id
    ids = torch.tensor([[padding] * (width - len(prompt)) + prompt for prompt in prompts], device=model.device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=model.device)
    output = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=max_new_tokens, do_sample=False, pad_token_id=padding
    )
    return [str(text).strip() for text in tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)]


def run(folder: Path) -> None:
    """Do the job in `folder`, or what a killed process left of it."""
    job = TrainingJob.model_validate_json((folder / "job.json").read_bytes())
    clock, progress = _clock(folder), Progress(folder / "progress.jsonl")
    progress.write("loading the base model")
    # On a CPU preferences are learned in float32: the log-ratios of two nearly equal models drown in bfloat16's 8 bits.
    hardware = detect(job.threads, job.dtype, training=job.recipe.method == "sft")
    hardware.use()
    snapshot = read_snapshot(Path(job.snapshot_folder))
    base = BaseModel(job.base_name, Path(job.base_path), job.base_digest, "")
    shape = shape_of(skeleton(base), job.recipe)
    if read_plan(folder) is None:
        check_base_fits(hardware, shape, job.recipe, device_memory(hardware.device))
    model, tokenizer = load(base, hardware.dtype, hardware.device, hardware.attention)
    encoder = Encoder(tokenizer, job.system_prompt)
    known = _known_questions(job)
    rows = plan_rows(snapshot, job.recipe, encoder, _replays(job, model, encoder, progress), known)
    plan = _plan(job, folder, hardware, shape, encoder.prefix(), rows, clock())
    progress.write("plan", message=plan.sentence(), plan=plan.model_dump(mode="json"))
    tuned = _begin(job, model)
    if hardware.device == "cpu":
        fuse(tuned)
        use_short_attention(tuned.get_base_model())
    rows = list(with_references(tuned, encoder.prefix(), rows[: plan.steps]))
    parts = _parts(encoder.prefix(), rows, plan, job.recipe)
    started = time.monotonic()
    reporter = Reporter(progress, plan, clock)
    trainer = _trainer(job, folder, plan, tuned, tokenizer, Dataset.from_list(parts), reporter)
    trainer.weights = _weights(job.recipe, measured_disagreement(snapshot))
    if job.recipe.distillation.weight:
        samples = folder / "checkpoints" / "samples"
        trainer.teacher = Teacher(tuned, encoder, facts_of(snapshot), rows, job.recipe, samples, progress.write)
    trainer.train(resume_from_checkpoint=_last_checkpoint(folder / "checkpoints"))
    scope = _scope(trainer.model, encoder.tokenizer, subjects_of(snapshot), job, progress)
    progress.write("saving the adapter")
    _save(trainer, job, folder, scope)
    result = {
        "steps": trainer.state.global_step,
        "planned_steps": plan.steps,
        "seconds": time.monotonic() - started,
        "seconds_spent": clock(),
        "loss": reporter.loss,
        "peak_mb": peak_memory_mb(),
        "peak_device_mb": peak_device_mb(),
        "tokens": sum(len(part["input_ids"]) for part in parts),
        "device": hardware.device,
        "dtype": hardware.dtype_name,
        "threads": hardware.threads,
        "machine": _machine(job, hardware).model_dump(mode="json"),
        "plan": plan.model_dump(mode="json"),
        **_against_plan(plan, reporter.seconds_per_step),
    }
    write_json(folder / "result.json", result)


def _clock(folder: Path) -> Callable[[], float]:
    """Return what tells the seconds that the run has taken, those of processes that were killed included."""
    spent = max((event.seconds_spent or 0.0 for event in read_progress(folder)), default=0.0)
    began = time.monotonic()
    return lambda: spent + time.monotonic() - began


def _plan(
    job: TrainingJob,
    folder: Path,
    hardware: Hardware,
    shape: ModelShape,
    prefix: Sequence[int],
    rows: Sequence[Sequence[TokenRow]],
    spent: float,
) -> Plan:
    """Return the plan of this run: made once, as it depends on what else the machine does, and then kept."""
    kept = read_plan(folder)
    if kept is not None:
        return kept

    def loads() -> Iterator[Load]:
        most = 1 if job.recipe.distillation.weight else most_parts(rows)  # the teacher gives whole steps
        counts = itertools.takewhile(lambda parts: parts < most, (2**power for power in itertools.count()))
        return (load_of(prefix, rows, parts) for parts in [*counts, most])

    machine, runs = _machine(job, hardware), folder.parent
    speed = recorded_speed(runs, machine) or _measured_speed(hardware, shape, next(loads()).tokens)
    memory = device_memory(hardware.device)
    plan = make_plan(
        hardware, shape, job.recipe, loads, memory, speed, recorded_evaluation(runs, machine), spent,
        recorded_memory(runs, machine),
    )  # fmt: skip
    write_json(folder / PLAN, plan.model_dump(mode="json"))
    return plan


def _measured_speed(hardware: Hardware, shape: ModelShape, tokens: int) -> Speed:
    rate = product_rate(hardware, tokens, shape.hidden, shape.feed_forward)
    return Speed(EFFICIENCY * rate, "this machine's matrix products")


def _machine(job: TrainingJob, hardware: Hardware) -> Machine:
    return Machine(
        base_digest=job.base_digest, method=job.recipe.method, device=hardware.device, device_name=hardware.name,
        dtype=hardware.dtype_name, threads=hardware.threads,
    )  # fmt: skip


def _against_plan(plan: Plan, seconds_per_step: float | None) -> dict[str, float | None]:
    """Hold what was measured against what was expected: `time_ratio` and `memory_ratio` are measured / expected."""
    peak = device_memory(plan.device).peak / plan.expected_peak_mb
    if seconds_per_step is None:  # resumed behind the last step
        return {"flops_per_second": None, "time_ratio": None, "memory_ratio": peak}
    return {
        "flops_per_second": plan.flops_per_step / seconds_per_step,
        "time_ratio": seconds_per_step * plan.steps / plan.expected_seconds,
        "memory_ratio": peak,
    }


def _parts(
    prefix: Sequence[int], rows: Sequence[Sequence[TokenRow]], plan: Plan, recipe: Recipe
) -> list[dict[str, list[Any]]]:
    """Pack the steps, each into as many sequences as planned."""
    steps = [split_step(step, plan.parts) for step in rows]
    packed = [packed_step(prefix, part) for part in itertools.chain(*steps)]
    if plan.parts == 1:
        return packed
    shares = itertools.chain.from_iterable(part_shares(step, recipe.wordings.first_weight) for step in steps)
    return [{**part, "shares": share} for part, share in zip(packed, shares, strict=True)]


def _replays(job: TrainingJob, model: Any, encoder: Encoder, progress: Progress) -> list[TokenRow]:
    settings = job.recipe.replay
    if settings.rows_per_step == 0:
        return []

    def generate(prompts: Sequence[str]) -> list[str]:
        progress.write("asking the base model general questions (once per base model)")
        return generate_answers(model, encoder, prompts, settings.max_tokens)

    replays = load_replay(job.base_digest, job.system_prompt, Path(job.cache_folder), generate)
    return replay_rows(replays, lambda prompt, text: encoder.row(prompt, text, "replayed"), settings.max_tokens)


def _scope(model: Any, tokenizer: Any, facts: Sequence[Fact], job: TrainingJob, progress: Progress) -> Scope | None:
    if not (job.recipe.scope.enabled and facts):
        return None

    def states_of(texts: Sequence[str]) -> Vectors:
        with torch.no_grad(), model.disable_adapter():
            return question_states(model.get_base_model(), tokenizer, texts)

    def reading(done: int, total: int) -> None:
        progress.write("learning what tells questions apart (once per base model)", step=done, total=total)

    meaning = load_meaning(job.base_digest, Path(job.cache_folder), states_of, reading)
    progress.write("fitting the scope")
    return fit_scope(facts, job.recipe, meaning, states_of)


def _begin(job: TrainingJob, model: Any) -> Any:
    """Put the adapter on the model: a new one, or a copy of that from which the run starts."""
    if job.start_folder is None:
        torch.manual_seed(job.recipe.seed)
        return get_peft_model(model, _lora(job.recipe, model))
    return PeftModel.from_pretrained(model, job.start_folder, is_trainable=True)


def _known_questions(job: TrainingJob) -> frozenset[str]:
    """Return what the adapter was trained on from which the run starts."""
    if job.start_snapshot_folder is None:
        return frozenset()
    return frozenset(row.question for row in read_records(Path(job.start_snapshot_folder), ROWS_FILE))


def with_references(model: Any, prefix: Sequence[int], steps: Sequence[Sequence[TokenRow]]) -> Iterator[list[TokenRow]]:
    """Give the rows of each step, those of preferences with their log-probability under the model as it is now."""
    wanted = {(row.prompt, row.completion) for step in steps for row in step if row.role not in UNREFERENCED}
    rows = [TokenRow(prompt, completion) for prompt, completion in sorted(wanted)]
    references: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    for pack in packs(rows, REFERENCE_TOKENS):
        inputs = {name: tensor.to(model.device) for name, tensor in collate([packed_step(prefix, pack)]).items()}
        logprobs = row_logprobs(model, inputs).tolist()
        references |= {(row.prompt, row.completion): value for row, value in zip(pack, logprobs, strict=True)}
    for step in steps:
        yield [replace(row, reference=references.get((row.prompt, row.completion), 0.0)) for row in step]


def _weights(recipe: Recipe, disagreement: float) -> LossWeights:
    shown = recipe.preferences
    return LossWeights(
        first=recipe.wordings.first_weight,
        distilled=recipe.distillation.weight,
        divergence=recipe.distillation.divergence,
        temperature=recipe.distillation.temperature,
        replay=recipe.replay.weight,
        pairs=shown.weight,
        chosen=shown.chosen_weight,
        smoothing=disagreement if shown.label_smoothing == "measured" else shown.label_smoothing,
        thumbs=shown.weight,
        liked=shown.liked_weight,
        disliked=shown.disliked_weight,
        beta=shown.beta,
    )


# TRL refuses batches of one for "kto", because its estimate of the drift would be of one row; a packed step has many.
TRAINERS: dict[Method, tuple[Any, Callable[..., Any]]] = {
    "sft": (PackedSFTTrainer, SFTConfig),
    "dpo": (PackedDPOTrainer, DPOConfig),
    "kto": (PackedKTOTrainer, partial(KTOConfig, loss_type="apo_zero_unpaired")),
    "combined": (PackedSFTTrainer, SFTConfig),
}


def _trainer(
    job: TrainingJob, folder: Path, plan: Plan, model: Any, tokenizer: Any, parts: Dataset, reporter: Reporter
) -> Any:
    recipe = job.recipe
    on_cpu = plan.device == "cpu"
    trainer_class, make_config = TRAINERS[recipe.method]
    config = make_config(
        output_dir=str(folder / "checkpoints"),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=plan.parts,
        num_train_epochs=1,
        learning_rate=recipe.optimizer.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=int(recipe.optimizer.warmup_share * plan.steps),
        weight_decay=recipe.optimizer.weight_decay,
        max_grad_norm=recipe.optimizer.max_gradient_norm,
        optim="adamw_torch",
        seed=recipe.seed,
        use_cpu=on_cpu,
        # TRL turns both on by default; on a CPU without AMX that makes a step 4.8 times slower. Where a CPU trains in
        # bfloat16 its weights are in it, and autocast would add nothing but a tenth of the time.
        bf16=plan.dtype == "bfloat16" and not on_cpu,
        activation_checkpointing=plan.activation_checkpointing,
        save_steps=recipe.budget.checkpoint_every,
        save_total_limit=CHECKPOINTS_KEPT,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=not on_cpu,
        max_length=None,
    )
    trainer = trainer_class(
        model=model,
        args=config,
        data_collator=collate,
        train_dataset=parts,
        processing_class=tokenizer,
    )
    trainer.b_ratio = recipe.optimizer.b_ratio
    trainer.add_callback(reporter)
    return trainer


def _lora(recipe: Recipe, model: Any) -> LoraConfig:
    modules, first = recipe.adapter.target_modules, recipe.adapter.first_layer
    if modules == "all-linear" and first:  # PEFT takes no layers beside that word
        modules = tuple(sorted(_linear_names(model)))
    return LoraConfig(
        r=recipe.adapter.rank,
        lora_alpha=recipe.adapter.alpha,
        target_modules=modules if isinstance(modules, str) else list(modules),
        layers_to_transform=list(range(first, model.config.num_hidden_layers)) if first else None,
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )


def _linear_names(model: Any) -> set[str]:
    head = model.get_output_embeddings()
    linear = (name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head)
    return {name.rpartition(".")[2] for name in linear}


def _last_checkpoint(folder: Path) -> str | None:
    """Return the newest whole checkpoint; one that was cut short (its last-written file is missing) is removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for checkpoint in found:
        if _is_whole(checkpoint):
            return str(checkpoint)
        shutil.rmtree(checkpoint, ignore_errors=True)
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
            torch.load(checkpoint / name, map_location="cpu", weights_only=False)
    except (OSError, ValueError, RuntimeError, EOFError):
        return False
    return (checkpoint / WEIGHTS).exists()


def _save(trainer: Any, job: TrainingJob, folder: Path, scope: Scope | None) -> None:
    """Write the adapter's files beside their place, then move them there."""
    draft, target = folder / "adapter.draft", folder / "adapter"
    for old in (draft, target):
        shutil.rmtree(old, ignore_errors=True)
    trainer.model.save_pretrained(str(draft), safe_serialization=True, selected_adapters=["default"])
    _make_portable(draft / CONFIG)
    manifest = AdapterManifest(
        base_digest=job.base_digest,
        snapshot_digest=job.snapshot_digest,
        recipe=job.recipe.name,
        recipe_digest=job.recipe.digest,
        rank=job.recipe.adapter.rank,
        seed=job.recipe.seed,
        parent_digest=job.parent_digest,
        start_digest=job.start_digest,
    )
    write_manifest(draft, manifest)
    if scope is not None:
        write_scope(draft, scope)
    for path in draft.iterdir():
        if path.name not in ADAPTER_FILES:
            path.unlink()
    draft.rename(target)


def _make_portable(path: Path) -> None:
    """Take this machine's path to the base model out, and bring lists that PEFT keeps as sets into one order."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = None
    modules = config.get("target_modules")
    config["target_modules"] = sorted(modules) if isinstance(modules, list) else modules
    path.write_text(json.dumps(config, indent=1, sort_keys=True), encoding="utf-8")


def _explain(error: BaseException, folder: Path) -> dict[str, str]:
    """Say what happened, to what, and what to do next."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return {
            "what": "the disk is full",
            "where": str(error.filename or folder),
            "todo": "free some space; then start the run again, which goes on from its last checkpoint",
        }
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return {
            "what": "not enough memory",
            "where": str(folder),
            "todo": "lower wordings.rows_per_step in the recipe, or use a smaller base model",
        }
    if isinstance(error, ApprenticeError):
        return {"what": str(error), "where": str(folder), "todo": ""}
    return {
        "what": f"{type(error).__name__}: {error}",
        "where": str(folder),
        "todo": "see trainer.log in that folder; start the run again, which goes on from its last checkpoint",
    }


def _remove_what_was_begun(folder: Path) -> None:
    """Remove what a run over its budget left: gone on with, it would go over it again."""
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    (folder / PLAN).unlink(missing_ok=True)


def _cancel_on_signal() -> None:
    def cancel(_number: int, _frame: FrameType | None) -> None:
        raise Cancelled

    signal.signal(signal.SIGTERM, cancel)
    # The terminal sends SIGINT to the whole group; the parent decides, and says so with SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _end_with_parent() -> None:
    """Stop, as on SIGTERM, soon after the process that started this one is gone: nobody would take the adapter."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: Sequence[str], do: Callable[[Path], None] = run) -> int:
    """Run the job and return the exit code: 0 done, CANCELLED_CODE on SIGTERM, FAILED_CODE with error.json."""
    folder = Path(arguments[0])
    _cancel_on_signal()
    try:
        do(folder)
    except Cancelled:
        return CANCELLED_CODE
    except MemoryBudgetExceeded as error:
        _remove_what_was_begun(folder)
        write_json(folder / "error.json", _explain(error, folder))
        return FAILED_CODE
    except Exception as error:  # noqa: BLE001 - the last place that can tell the parent
        import traceback  # noqa: PLC0415

        traceback.print_exc()
        write_json(folder / "error.json", _explain(error, folder))
        return FAILED_CODE
    return 0


if __name__ == "__main__":
    _end_with_parent()
    sys.exit(main(sys.argv[1:]))
