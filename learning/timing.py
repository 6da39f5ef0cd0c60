"""One timed training of a benchmark: some steps on given rows, by the product's trainer or by TRL's own.

`python -m learning.timing FOLDER` reads job.json there and leaves result.json behind. All sides get the same token ids
in the same order, the same initial LoRA and the same optimizer.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from pydantic import BaseModel, ConfigDict
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from learning.fused import fuse, use_short_attention
from learning.hardware import detect, peak_memory_mb
from learning.losses import LossWeights
from learning.packing import TokenRow, collate, packed_step
from learning.prompts import build_messages
from learning.trainer import PackedDPOTrainer, PackedSFTTrainer, with_references

Side = Literal["ours", "trl_defaults", "trl_tuned"]
SIDES: tuple[Side, ...] = ("ours", "trl_defaults", "trl_tuned")
TimedMethod = Literal["sft", "dpo"]
RANK, ALPHA = 16, 32
LEARNING_RATES: dict[TimedMethod, float] = {"sft": 1e-3, "dpo": 1e-4}


class TimingJob(BaseModel):
    """What is timed: `rows` are (question, answer, rejected answer); the first step is not counted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: Side
    method: TimedMethod
    base_path: str
    system_prompt: str
    rows: tuple[tuple[str, str, str], ...]
    rows_per_step: int
    steps: int
    threads: int = 0


class TimingResult(BaseModel):
    """Seconds of all counted steps, with what was computed once before them; the loss of every step; most MB held."""

    seconds: float
    steps: int
    losses: list[float]
    peak_mb: float


class _Stopwatch(TrainerCallback):
    def __init__(self) -> None:
        self.steps: list[float] = []
        self.losses: list[float] = []
        self._began = 0.0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._began = time.monotonic()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps.append(time.monotonic() - self._began)

    def on_log(self, _args: Any, _state: Any, _control: Any, logs: dict[str, float], **_: Any) -> None:
        if "loss" in logs:
            self.losses.append(logs["loss"])


def run(folder: Path) -> None:
    """Do the job in `folder`."""
    job = TimingJob.model_validate_json((folder / "job.json").read_bytes())
    hardware = detect(job.threads, training=job.method == "sft")  # as the trainer does
    hardware.use()
    tokenizer = AutoTokenizer.from_pretrained(job.base_path)
    dtype = hardware.dtype if job.side == "ours" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(job.base_path, dtype=dtype, attn_implementation="sdpa")
    model = model.to(hardware.device)
    torch.manual_seed(0)
    lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
    tuned = get_peft_model(model, lora)
    if job.side == "ours" and hardware.device == "cpu":
        fuse(tuned)
        use_short_attention(tuned.get_base_model())
    watch = _Stopwatch()
    begun = time.monotonic()
    trainer = _trainer(job, tuned, tokenizer, folder)
    prepared = time.monotonic() - begun if job.side == "ours" else 0.0
    trainer.add_callback(watch)
    trainer.train()
    counted = watch.steps[1:]
    result = TimingResult(
        seconds=sum(counted) + prepared, steps=len(counted), losses=watch.losses, peak_mb=peak_memory_mb()
    )
    (folder / "result.json").write_text(result.model_dump_json(), encoding="utf-8")


def _trainer(job: TimingJob, model: Any, tokenizer: Any, folder: Path) -> Any:
    rows = [job.rows[at % len(job.rows)] for at in range(job.rows_per_step * job.steps)]
    on_cpu = not torch.cuda.is_available()
    common: dict[str, Any] = {
        "output_dir": str(folder / "checkpoints"),
        "max_steps": job.steps,
        "learning_rate": LEARNING_RATES[job.method],
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": on_cpu,
    }
    if job.side == "ours":
        return _ours(job, model, tokenizer, rows, common)
    if job.side == "trl_tuned":
        common |= {"gradient_checkpointing": False, "bf16": not on_cpu}
    common["per_device_train_batch_size"] = job.rows_per_step
    kind, config = (_OrderedSFT, SFTConfig) if job.method == "sft" else (_OrderedDPO, DPOConfig)
    dataset = Dataset.from_list([_conversation(job, *row) for row in rows])
    return kind(model=model, args=config(**common), train_dataset=dataset, processing_class=tokenizer)


class _Ordered:
    """Takes the rows in their order, as the product does, so that losses can be compared step by step."""

    train_dataset: Any

    def _get_train_sampler(self, *_: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)


class _OrderedSFT(_Ordered, SFTTrainer):
    pass


class _OrderedDPO(_Ordered, DPOTrainer):
    pass


def _conversation(job: TimingJob, question: str, answer: str, rejected: str) -> dict[str, Any]:
    prompt = build_messages(question, job.system_prompt)
    chosen = [{"role": "assistant", "content": answer}]
    if job.method == "sft":
        return {"prompt": prompt, "completion": chosen}
    return {"prompt": prompt, "chosen": chosen, "rejected": [{"role": "assistant", "content": rejected}]}


def _ours(
    job: TimingJob, model: Any, tokenizer: Any, rows: Sequence[tuple[str, str, str]], common: dict[str, Any]
) -> Any:
    units = [_unit(job, tokenizer, row) for row in rows]
    length = min(len(row.prompt) for unit in units for row in unit)
    first = units[0][0].prompt
    shared = next((at for at in range(length) if any(unit[0].prompt[at] != first[at] for unit in units)), length)
    cut = [[TokenRow(row.prompt[shared:], row.completion, row.role) for row in unit] for unit in units]
    starts = range(0, len(cut), job.rows_per_step)
    steps = [[row for unit in cut[start : start + job.rows_per_step] for row in unit] for start in starts]
    packed = [packed_step(first[:shared], step) for step in with_references(model, first[:shared], steps)]
    kind, config = (PackedSFTTrainer, SFTConfig) if job.method == "sft" else (PackedDPOTrainer, DPOConfig)
    arguments = config(
        **common, per_device_train_batch_size=1, gradient_checkpointing=False, bf16=torch.cuda.is_available(),
        remove_unused_columns=False,
    )  # fmt: skip
    trainer = kind(
        model=model, args=arguments, data_collator=collate, train_dataset=Dataset.from_list(packed),
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.weights = LossWeights(chosen=0.0)
    return trainer


def _unit(job: TimingJob, tokenizer: Any, row: tuple[str, str, str]) -> list[TokenRow]:
    """Return one row, or the two of a pair, with the token ids that TRL makes of them."""
    question, answer, rejected = row
    messages = build_messages(question, job.system_prompt)
    prompt = _ids(tokenizer, messages, add_generation_prompt=True)

    def completion(text: str) -> tuple[int, ...]:
        return _ids(tokenizer, [*messages, {"role": "assistant", "content": text}])[len(prompt) :]

    if job.method == "sft":
        return [TokenRow(prompt, completion(answer))]
    return [TokenRow(prompt, completion(answer), "chosen"), TokenRow(prompt, completion(rejected), "rejected")]


def _ids(tokenizer: Any, messages: Sequence[Any], *, add_generation_prompt: bool = False) -> tuple[int, ...]:
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def main(arguments: Sequence[str]) -> None:
    """Run the job in the folder that is named."""
    run(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
