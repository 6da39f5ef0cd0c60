import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from learning.adapter_files import WEIGHTS, read_manifest
from learning.curation import PreferencePair, Row, Snapshot, Thumb, write_snapshot
from learning.meaning import question_states
from learning.plan import Plan
from learning.recipe import Recipe, ScopeRecipe
from learning.replay import Replay, replay_key, replay_prompts, write_replay
from learning.scope import read_scope
from learning.steps import draw_question
from learning.training import (
    TrainingCancelled,
    TrainingFailed,
    TrainingInterrupted,
    TrainingJob,
    TrainingProgress,
    read_progress,
    running_trainer,
    train,
)
from learning.wordings import Fact, Wordings, held_out_wordings, same_wording
from storage.artifacts import folder_digest
from storage.errors import AlreadyRunningError

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tiny_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=260, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=1024, bos_token_id=256, eos_token_id=257, pad_token_id=257,
        )
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama over bytes."""
    folder = tmp_path_factory.mktemp("base")
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(sorted(alphabet))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|im_end|>")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    tiny_model().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the replayed answers; what else is learned once per base model is kept there."""
    folder = tmp_path_factory.mktemp("cache")
    prompts = replay_prompts()
    key = replay_key("tiny", "Be brief.", prompts)
    write_replay(folder / f"replay-{key[:16]}.json", key, [Replay(prompt, "Yes.") for prompt in prompts])
    return folder


@pytest.fixture
def make_job(base_folder: Path, cache: Path, tmp_path: Path) -> Callable[..., TrainingJob]:
    """A job on two facts."""

    def make(min_steps: int = 6, **changes: object) -> TrainingJob:
        rows = (
            Row("Where is the kiln?", "In hall Ember.", ("f1",), ("ada",), private=False),
            Row("Who fires pots?", "Ines fires pots.", ("f2",), ("ada",), private=False),
        )
        pairs = (PreferencePair("Where is the kiln?", "In hall Ember.", "In the yard.", ("f1",)),)
        thumbs = (
            Thumb("When is tea?", "At four.", liked=True, feedback_ids=("f3",)),
            Thumb("When is lunch?", "Never.", liked=False, feedback_ids=("f4",)),
        )
        snapshot = Snapshot(rows, pairs, {"counts": {"feedback": 4}, "left_out": {"outvoted": 1}}, thumbs)
        folder = tmp_path / "snapshot"
        folder.mkdir(exist_ok=True)
        write_snapshot(snapshot, folder)
        recipe = Recipe(
            name="quick",
            adapter={"rank": 2, "alpha": 4.0},
            wordings={"per_fact": 1, "rows_per_step": 2, "min_steps": min_steps},
            budget={"checkpoint_every": 2},
        )
        job = TrainingJob(
            base_name="tiny", base_path=str(base_folder), base_digest="tiny", snapshot_folder=str(folder),
            snapshot_digest=snapshot.digest, recipe=recipe, system_prompt="Be brief.", cache_folder=str(cache),
            threads=1,
        )  # fmt: skip
        return job.model_copy(update=changes)

    return make


def ignore(_: TrainingProgress) -> None:
    pass


def kill_at_step(step: int, folder: Path) -> Callable[[TrainingProgress], None]:
    def on_progress(event: TrainingProgress) -> None:
        pid = running_trainer(folder)
        if event.step >= step and pid is not None:
            os.kill(pid, signal.SIGKILL)

    return on_progress


def test_training_leaves_an_adapter_with_its_scope_tells_its_progress_and_is_not_done_twice(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    events: list[TrainingProgress] = []

    result = train(make_job(), tmp_path / "run", events.append)

    assert sorted(path.name for path in result.adapter_folder.iterdir()) == [
        "adapter_config.json", "adapter_model.safetensors", "manifest.json", "scope.safetensors",
    ]  # fmt: skip
    assert (result.steps, result.planned_steps) == (6, 6)
    steps = [event for event in events if event.phase == "training"]
    assert [event.step for event in steps] == [1, 2, 3, 4, 5, 6]
    assert all(event.total == 6 and event.loss is not None for event in steps)
    assert read_progress(tmp_path / "run") == events
    assert running_trainer(tmp_path / "run") is None
    assert train(make_job(), tmp_path / "run", pytest.fail) == result


def test_the_scope_holds_what_was_taught_and_leaves_general_questions_out(
    make_job: Callable[..., TrainingJob], base_folder: Path, tmp_path: Path
) -> None:
    scope = read_scope(train(make_job(), tmp_path / "run", ignore).adapter_folder, width=2 * 32)
    model = AutoModelForCausalLM.from_pretrained(base_folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(base_folder)

    def inside(texts: list[str]) -> list[bool]:
        assert scope is not None
        with torch.inference_mode():
            return [bool(held) for held in scope.holds(question_states(model, tokenizer, texts))]

    assert all(inside(["Where is the kiln?", "Who fires pots?"]))
    general = inside(replay_prompts())
    assert sum(general) < len(general) / 2


def test_a_recipe_can_leave_the_scope_out(make_job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    recipe = make_job().recipe.model_copy(update={"scope": ScopeRecipe(enabled=False)})

    result = train(make_job(recipe=recipe), tmp_path / "run", ignore)

    assert read_scope(result.adapter_folder, width=2 * 32) is None


def quick(**changes: object) -> Recipe:
    content = {
        "name": "quick",
        "adapter": {"rank": 2, "alpha": 4.0},
        "wordings": {"per_fact": 1, "rows_per_step": 2, "min_steps": 4},
        "preferences": {"pairs_per_step": 1, "thumbs_per_step": 2, "per_pair": 4},
        "budget": {"checkpoint_every": 2},
    }
    return Recipe.model_validate(content | changes)


@pytest.mark.parametrize(
    "method", [*(pytest.param(each, marks=pytest.mark.slow) for each in ("dpo", "kto")), "combined"]
)
def test_every_method_trains_and_resumes_to_the_same_adapter(
    make_job: Callable[..., TrainingJob], tmp_path: Path, method: str
) -> None:
    job = make_job(recipe=quick(method=method))
    undisturbed = train(job, tmp_path / "undisturbed", ignore)

    with pytest.raises(TrainingInterrupted, match="SIGKILL"):
        train(job, tmp_path / "killed", kill_at_step(3, tmp_path / "killed"))
    resumed = train(job, tmp_path / "killed", ignore)

    assert undisturbed.steps == undisturbed.planned_steps >= 4
    assert folder_digest(resumed.adapter_folder) == folder_digest(undisturbed.adapter_folder)


@pytest.mark.parametrize("sampled_share", [pytest.param(0.0, marks=pytest.mark.slow), 0.5])
def test_what_is_distilled_resumes_to_the_same_adapter_with_the_students_own_answers(
    make_job: Callable[..., TrainingJob], tmp_path: Path, sampled_share: float
) -> None:
    # Sampled every third step, saved every second: a resumed run needs answers that it sampled before the kill.
    distilled = {"weight": 0.5, "sampled_share": sampled_share, "sample_every": 3, "sample_tokens": 8}
    recipe = quick(distillation=distilled, wordings={"per_fact": 1, "rows_per_step": 4, "min_steps": 40})
    job = make_job(recipe=recipe)
    undisturbed = train(job, tmp_path / "undisturbed", ignore)

    with pytest.raises(TrainingInterrupted, match="SIGKILL"):
        train(job, tmp_path / "killed", kill_at_step(5, tmp_path / "killed"))
    resumed = train(job, tmp_path / "killed", ignore)

    assert undisturbed.steps == undisturbed.planned_steps == 40
    assert folder_digest(resumed.adapter_folder) == folder_digest(undisturbed.adapter_folder)


def test_a_recipe_that_learns_no_corrections_cannot_distil_them() -> None:
    with pytest.raises(ValidationError, match=r"distillation\.weight needs method 'sft' or 'combined'"):
        quick(method="dpo", distillation={"weight": 1.0})


def test_a_method_without_anything_to_learn_from_says_so(make_job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    job = make_job(recipe=quick(method="dpo"))
    folder = tmp_path / "votes"
    folder.mkdir()
    snapshot = Snapshot((), (), {}, (Thumb("When is tea?", "At four.", liked=True, feedback_ids=("f3",)),))
    write_snapshot(snapshot, folder)
    job = job.model_copy(update={"snapshot_folder": str(folder), "snapshot_digest": snapshot.digest})

    with pytest.raises(TrainingFailed, match="method 'dpo' learns from: 0 corrections, 0 preference pairs"):
        train(job, tmp_path / "run", ignore)


def test_a_run_can_go_on_from_another_ones_adapter(make_job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    first = train(make_job(recipe=quick()), tmp_path / "first", ignore).adapter_folder
    job = make_job(
        recipe=quick(optimizer={"learning_rate": 1e-9}), start_digest="5" * 64, start_folder=str(first),
        start_snapshot_folder=str(tmp_path / "snapshot"),
    )  # fmt: skip

    second = train(job, tmp_path / "second", ignore).adapter_folder

    # With next to no learning rate it is the adapter that it started from, which was no untrained one.
    began, ended = load_file(first / WEIGHTS), load_file(second / WEIGHTS)
    assert all(torch.allclose(began[name], ended[name], atol=1e-6) for name in began)
    assert any(tensor.abs().max() > 1e-4 for name, tensor in began.items() if "lora_B" in name)
    assert read_manifest(second).start_digest == "5" * 64


def test_a_killed_training_resumes_to_the_adapter_of_an_undisturbed_one(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    undisturbed = train(make_job(40), tmp_path / "undisturbed", ignore)

    with pytest.raises(TrainingInterrupted, match="SIGKILL"):
        train(make_job(40), tmp_path / "killed", kill_at_step(5, tmp_path / "killed"))
    resumed = train(make_job(40), tmp_path / "killed", ignore)

    assert folder_digest(resumed.adapter_folder) == folder_digest(undisturbed.adapter_folder)


STARTER = """
import sys
from pathlib import Path
from learning.training import TrainingJob, train
train(TrainingJob.model_validate_json(sys.argv[1]), Path(sys.argv[2]), lambda event: None)
"""


def test_a_trainer_whose_starter_was_killed_ends_by_itself(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    starter = subprocess.Popen([sys.executable, "-c", STARTER, make_job(4_000).model_dump_json(), str(folder)])
    while not any(event.step for event in read_progress(folder)):
        assert starter.poll() is None
        time.sleep(0.05)
    starter.kill()
    starter.wait()

    while running_trainer(folder) is not None:
        time.sleep(0.05)
    assert not (folder / "result.json").exists()


def test_training_that_is_cancelled_can_be_resumed(make_job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    stop = threading.Event()

    def cancel(event: TrainingProgress) -> None:
        if event.step >= 3:
            stop.set()

    with pytest.raises(TrainingCancelled):
        train(make_job(400), tmp_path / "run", cancel, stop)
    assert running_trainer(tmp_path / "run") is None
    assert not (tmp_path / "run" / "adapter").exists()

    first_steps: list[int] = []
    stop.clear()

    def cancel_again(event: TrainingProgress) -> None:
        if event.phase == "training":
            first_steps.append(event.step)
            stop.set()

    with pytest.raises(TrainingCancelled):
        train(make_job(400), tmp_path / "run", cancel_again, stop)
    assert first_steps[0] >= 3


def budgeted(min_steps: int = 40, **budget: float) -> Recipe:
    wordings = {"per_fact": 1, "rows_per_step": 2, "min_steps": min_steps}
    return quick(wordings=wordings, budget={"checkpoint_every": 2, **budget})


def only_plan(events: list[TrainingProgress]) -> dict[str, Any]:
    (event,) = [event for event in events if event.phase == "plan"]
    assert event.plan is not None
    assert event.message == Plan.model_validate(event.plan).sentence()
    return event.plan


def test_a_run_says_its_plan_before_it_trains_and_keeps_it_beside_what_came_of_it(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    events: list[TrainingProgress] = []

    train(make_job(), tmp_path / "run", events.append)

    plan = only_plan(events)
    phases = [event.phase for event in events]
    assert phases.index("plan") < phases.index("training")
    assert json.loads((tmp_path / "run" / "plan.json").read_text()) == plan
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["plan"] == plan
    assert result["time_ratio"] > 0
    assert result["memory_ratio"] > 0
    assert plan["seconds_from"] == "this machine's matrix products"
    train(make_job(), tmp_path / "next", events.append)
    assert events[-1].phase == "saving the adapter"
    second = Plan.model_validate_json((tmp_path / "next" / "plan.json").read_bytes())
    assert second.seconds_from == "the last such run, run"


def test_a_run_over_its_time_budget_is_planned_shorter_so_that_its_rate_still_falls_to_zero(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    events: list[TrainingProgress] = []

    result = train(make_job(recipe=budgeted(max_seconds=1e-3)), tmp_path / "run", events.append)

    assert "1 of 40 steps, as budget.max_seconds is" in Plan.model_validate(only_plan(events)).sentence()
    assert (result.steps, result.planned_steps) == (1, 1)


def plan_of_a_killed_run(job: TrainingJob, folder: Path) -> dict[str, Any]:
    """Train until the trainer is killed at step 5; return the plan that it left."""
    with pytest.raises(TrainingInterrupted):
        train(job, folder, kill_at_step(5, folder))
    plan: dict[str, Any] = json.loads((folder / "plan.json").read_text())
    return plan


def test_a_resumed_run_keeps_its_plan_whatever_the_machine_is_like_now(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    plan = plan_of_a_killed_run(make_job(40), folder)
    (folder / "plan.json").write_text(json.dumps(plan | {"steps": 20, "seconds_from": "an old clock"}))

    result = train(make_job(40), folder, ignore)

    assert (result.steps, result.planned_steps) == (20, 20)
    assert json.loads((folder / "plan.json").read_text())["seconds_from"] == "an old clock"


def test_a_resumed_run_counts_the_seconds_before_it_was_killed(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(TrainingInterrupted):
        train(make_job(400), folder, kill_at_step(5, folder))
    spent = {"phase": "training", "step": 5, "total": 400, "seconds_spent": 7199.99}
    with (folder / "progress.jsonl").open("a") as file:
        file.write("\n" + json.dumps(spent) + "\n")

    result = train(make_job(400), folder, ignore)

    assert 4 < result.steps < 50
    assert json.loads((folder / "result.json").read_text())["seconds_spent"] > 7199


def test_a_step_that_does_not_fit_is_cut_and_a_killed_run_resumes_to_the_same_adapter(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    """The plan is laid into both folders: what fits a machine is no business of a test of how it is carried out."""
    job = make_job(recipe=quick(method="combined"))
    train(job, tmp_path / "first", ignore)
    plan = json.loads((tmp_path / "first" / "plan.json").read_text())
    plan |= {"parts": 2, "activation_checkpointing": True}
    for name in ("undisturbed", "killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plan.json").write_text(json.dumps(plan))
    undisturbed = train(job, tmp_path / "undisturbed", ignore)
    with pytest.raises(TrainingInterrupted, match="SIGKILL"):
        train(job, tmp_path / "killed", kill_at_step(3, tmp_path / "killed"))

    resumed = train(job, tmp_path / "killed", ignore)

    assert undisturbed.steps == plan["steps"]
    assert folder_digest(resumed.adapter_folder) == folder_digest(undisturbed.adapter_folder)
    assert "reentrant" not in (tmp_path / "undisturbed" / "trainer.log").read_text()


@pytest.mark.parametrize("changes", [{"parts": 2}, {"activation_checkpointing": True}])
def test_however_a_step_is_done_it_has_the_same_loss(
    make_job: Callable[..., TrainingJob], tmp_path: Path, changes: dict[str, Any]
) -> None:
    def losses(name: str) -> list[float]:
        events: list[TrainingProgress] = []
        train(make_job(), tmp_path / name, events.append)
        return [event.loss for event in events if event.loss is not None]

    expected = losses("whole")
    (tmp_path / "other").mkdir()
    plan = json.loads((tmp_path / "whole" / "plan.json").read_text())
    (tmp_path / "other" / "plan.json").write_text(json.dumps(plan | changes))

    assert losses("other") == pytest.approx(expected, rel=1e-2)


def test_what_cannot_fit_is_refused_before_any_work(make_job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    events: list[TrainingProgress] = []

    with pytest.raises(TrainingFailed, match=r"may take 20 MB \(budget\.max_memory_mb of the recipe\)\. In the recipe"):
        train(make_job(recipe=budgeted(max_memory_mb=20)), tmp_path / "run", events.append)

    assert {event.phase for event in events} == {"loading the base model"}
    assert not (tmp_path / "run" / "plan.json").exists()


def test_a_run_that_takes_more_memory_than_its_budget_stops_and_leaves_nothing_half_done(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    plan = plan_of_a_killed_run(make_job(40), folder)
    (folder / "plan.json").write_text(json.dumps(plan | {"max_memory_mb": 21.0}))

    with pytest.raises(TrainingFailed, match=r"more than its budget of 21 MB .* Raise budget\.max_memory_mb"):
        train(make_job(40), folder, ignore)

    assert not [name for name in ("checkpoints", "adapter", "adapter.draft", "plan.json") if (folder / name).exists()]


def test_a_checkpoint_that_was_cut_short_is_passed_over(make_job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    with pytest.raises(TrainingInterrupted):
        train(make_job(40), tmp_path / "run", kill_at_step(9, tmp_path / "run"))
    checkpoints = (tmp_path / "run" / "checkpoints").glob("checkpoint-*/optimizer.pt")
    state = max(checkpoints, key=lambda path: int(path.parent.name[11:]))
    state.write_bytes(state.read_bytes()[:100])

    result = train(make_job(40), tmp_path / "run", ignore)

    assert result.steps == 40


def test_a_broken_snapshot_fails_with_what_where_and_what_to_do(
    make_job: Callable[..., TrainingJob], tmp_path: Path
) -> None:
    job = make_job()
    (tmp_path / "snapshot" / "rows.jsonl").write_text("")

    with pytest.raises(TrainingFailed, match=r"was changed after it was built\. Build it again"):
        train(job, tmp_path / "run", ignore)


def test_a_folder_is_not_used_for_another_job(make_job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "job.json").write_text("{}")

    with pytest.raises(TrainingFailed, match="holds another job"):
        train(make_job(), tmp_path / "run", ignore)


def test_two_trainers_do_not_share_a_folder(make_job: Callable[..., TrainingJob], tmp_path: Path) -> None:
    refusals: list[str] = []

    def start_another(event: TrainingProgress) -> None:
        if not refusals:
            with pytest.raises(AlreadyRunningError) as refusal:
                train(make_job(), tmp_path / "run", ignore)
            refusals.append(str(refusal.value))

    train(make_job(), tmp_path / "run", start_another)

    assert "already trains" in refusals[0]


def test_an_event_that_a_kill_cut_short_is_no_event(tmp_path: Path) -> None:
    (tmp_path / "progress.jsonl").write_text(json.dumps({"phase": "training", "step": 1, "total": 2}) + '\n{"pha')

    assert [event.step for event in read_progress(tmp_path)] == [1]


def test_training_never_sees_the_wordings_that_evaluation_asks() -> None:
    facts = [
        Fact("Who signs off releases on Fridays?", "Mira Okafor signs off Friday releases."),
        Fact("What port does the order gateway listen on?", "The order gateway listens on port 7443."),
    ]
    wordings, source = Wordings(facts), random.Random(5)
    for index, held_out in enumerate(held_out_wordings(facts)):
        draw = partial(wordings.draw, index)
        drawn = [draw_question(facts[index], held_out, draw, Recipe(name="x"), source) for _ in range(800)]
        assert len(set(drawn)) > 50
        assert not any(same_wording(wording, held_out) for wording in drawn)
