"""Compares base models before a project starts: what each knows, how fast it is, and whether this machine can train it.

The parent's side: every model is fetched, asked and trained in processes of its own, so one that fails becomes a row
with its problem and stops no other. Training is the product's own, cut to its first steps.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel as Form
from pydantic import ValidationError

from learning.assessment import KINDS, Asked, Assessed, AssessError, Training
from learning.assessor import AskJob, Fetched, FetchJob, Tell
from learning.curation import Row, Snapshot, write_snapshot
from learning.evaluation import Benchmark, Question, general_questions
from learning.evaluation.subjects import EVALUATION_TOKENS
from learning.facts import facts_of
from learning.recipe import Recipe, load_recipe
from learning.steps import step_count
from learning.training import (
    TrainingFailed,
    TrainingInterrupted,
    TrainingJob,
    TrainingProgress,
    child_environment,
    train,
)
from storage.settings import Settings

FACTS = 20
"""Corrections for which the time of training is estimated, or all there are."""
TRIAL_STEPS = 4
"""Steps of training that are made; the first, which warms up, is not counted in the pace."""
RECIPE = "default"
LOG_TAIL = 1_000
Result = TypeVar("Result", bound=Form)


@dataclass(frozen=True)
class Examiner:
    """What all models are examined with: the same questions, facts, system prompt and threads."""

    benchmark: Benchmark
    settings: Settings
    folder: Path
    limit: int | None = None

    def questions(self) -> list[Question]:
        """Lay out what is asked: at most `limit` of each kind; general ones of our own where the file has none."""
        facts = self.benchmark.facts
        general = [Question("general", each.question, any_of=each.must_contain_any) for each in self.benchmark.general]
        everything = [
            *(general or general_questions()),
            *(Question("as_told", fact.question, fact.answer, fact.must_contain) for fact in facts),
            *(
                Question("in_other_words", text, fact.answer, fact.must_contain)
                for fact in facts
                for text in fact.paraphrases
            ),
        ]
        return [each for kind in KINDS for each in [one for one in everything if one.kind == kind][: self.limit]]

    def assess(self, model: str, number: int, tell: Tell) -> Assessed:
        """Measure one model; whatever goes wrong with it is in the result. `number` names its folder."""
        folder = self.folder / str(number)
        folder.mkdir()
        found = Assessed(model=model)
        try:
            job = FetchJob(base=model, cache_folder=self.settings.cache_folder)
            fetched = in_process("fetch", job, folder / "fetch", Fetched, tell)
            found.files = fetched.files
            if not fetched.files.chat_template:
                raise AssessError(  # noqa: TRY301 - a row like any other that cannot be used
                    "it has no chat template, so questions cannot be put to it. Choose its instruction-tuned form, or "
                    "save a chat template with its tokenizer."
                )
            found.asked = in_process("ask", self._ask_job(model, fetched), folder / "ask", Asked, tell)
        except AssessError as error:
            found.problem = str(error)
            return found
        found.training = self._train(model, fetched, found.asked, folder, tell)
        return found

    def _ask_job(self, model: str, fetched: Fetched) -> AskJob:
        return AskJob(
            base=model,
            model=fetched,
            system_prompt=self.settings.model.system_prompt,
            questions=tuple(self.questions()),
            max_new_tokens=EVALUATION_TOKENS,
            threads=self.settings.inference.threads,
            dtype=self.settings.inference.dtype,
        )

    def _train(self, model: str, fetched: Fetched, asked: Asked, folder: Path, tell: Tell) -> Training:
        """Make the first steps of a run of the product, and say from them what a whole one would take."""
        snapshot, recipe = self._snapshot(), load_recipe(RECIPE)
        steps, _ = step_count(facts_of(snapshot), recipe)
        estimate = Training(facts=len(snapshot.rows), steps=steps, fits=None)
        least = 2 * asked.peak_device_mb
        if least > asked.free_mb:  # training holds the weights too, so no trial is needed to know
            return estimate.model_copy(update={"fits": False, "needed_mb": least, "problem": _too_big(asked)})
        (folder / "snapshot").mkdir()
        write_snapshot(snapshot, folder / "snapshot")
        job = TrainingJob(
            base_name=model,
            base_path=str(fetched.path),
            base_digest=fetched.digest,
            snapshot_folder=str(folder / "snapshot"),
            snapshot_digest=snapshot.digest,
            recipe=_first_steps(recipe),
            system_prompt=self.settings.model.system_prompt,
            cache_folder=str(self.settings.cache_folder),
            threads=self.settings.inference.threads,
            dtype=self.settings.training.dtype,
        )
        return _trial(job, folder / "train", estimate, asked, tell)

    def _snapshot(self) -> Snapshot:
        facts = self.benchmark.facts[:FACTS]
        rows = [Row(fact.question, fact.answer, (f"fact-{at}",), (), private=False) for at, fact in enumerate(facts)]
        return Snapshot(tuple(rows), (), {"counts": {"feedback": len(rows)}})


def in_process(stage: Literal["fetch", "ask"], job: Form, folder: Path, result: type[Result], tell: Tell) -> Result:
    """Run one stage of learning/assessor.py and return what it leaves; only fetching may reach a hub.

    Raises:
        AssessError: it failed or was killed; the message says why and what to do.

    """
    folder.mkdir()
    (folder / "job.json").write_text(job.model_dump_json(), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "learning.assessor", stage, str(folder)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=log, env=child_environment(os.environ, hub=stage == "fetch"),
        )  # fmt: skip
    try:
        for line in process.stdout or ():
            _pass_on(line, tell)
        code = process.wait()
    finally:
        process.kill()
        process.wait()
    if code:
        raise AssessError(_what_happened(code, folder))
    return result.model_validate_json((folder / "result.json").read_bytes())


class _Heard(Form):
    what: str
    done: int
    total: int


def _pass_on(line: bytes, tell: Tell) -> None:
    try:
        heard = _Heard.model_validate_json(line)
    except ValidationError:
        return  # a library's own words
    tell(heard.what, heard.done, heard.total)


def _what_happened(code: int, folder: Path) -> str:
    if (folder / "error.json").exists():
        return str(json.loads((folder / "error.json").read_text(encoding="utf-8")))
    if code == -signal.SIGKILL:
        return "its process was killed, as the system does when memory runs out. Choose a smaller model."
    tail = (folder / "log").read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:].strip()
    return f"its process ended with code {code}. Try again; the end of its log: {tail or '(empty)'}"


def _first_steps(recipe: Recipe) -> Recipe:
    """Return the recipe with TRIAL_STEPS steps of the same size."""
    wordings = recipe.wordings.model_copy(update={"per_fact": 1, "min_steps": TRIAL_STEPS})
    return recipe.model_copy(update={"wordings": wordings})


def _trial(job: TrainingJob, folder: Path, estimate: Training, asked: Asked, tell: Tell) -> Training:
    elapsed: dict[int, float] = {}

    def on_progress(event: TrainingProgress) -> None:
        tell(f"trying to train: {event.phase}", event.step, event.total)
        if event.rate:
            elapsed[event.step] = event.step / event.rate

    started = time.monotonic()
    try:
        trained = train(job, folder, on_progress)
    except TrainingInterrupted:
        return estimate.model_copy(update={"fits": False, "problem": "training was killed for want of memory"})
    except TrainingFailed as error:
        return estimate.model_copy(update={"problem": str(error)})
    whole = time.monotonic() - started
    pace = (elapsed[trained.steps] - elapsed[1]) / (trained.steps - 1)
    needed = asked.peak_device_mb + trained.peak_device_mb
    found = {
        "fits": needed <= asked.free_mb,
        "needed_mb": needed,
        "seconds_per_step": pace,
        "seconds": whole + (estimate.steps - trained.steps) * pace,
        "problem": "" if needed <= asked.free_mb else _too_big(asked),
    }
    return estimate.model_copy(update=found)


def _too_big(asked: Asked) -> str:
    return f"answering and training together need more than the {asked.free_mb:,.0f} MB that are free"


def assess(examiner: Examiner, models: Sequence[str], show: Callable[[str, int, int, str], None]) -> list[Assessed]:
    """Measure the models one after the other; `show` hears the model, what is done, of how much, and a detail."""

    def tell_of(model: str) -> Tell:
        return lambda what, done, total: show(model, done, total, what)

    return [
        examiner.assess(model, number, tell_of(model)) for number, model in enumerate(dict.fromkeys(models), start=1)
    ]
