"""The assessing process: `python -m learning.assessor fetch|ask FOLDER` reads job.json there, leaves result.json.

Or error.json, with what happened and what to do. Progress goes to standard output, one JSON object a line. Fetching is
a process apart: it may reach a hub, and what converting a model takes must not count as the model's own memory.
"""

import itertools
import json
import statistics
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jinja2 import TemplateError
from pydantic import BaseModel as Form

from learning.assessment import Asked, AssessError, Given, Speed
from learning.base_model import BUILTIN_SCHEME, BaseModel, prepare
from learning.evaluation import Question, is_right
from learning.model_files import NOT_STATED, ModelFiles, licence_in_card, read_model_files
from learning.prompts import build_messages
from storage.errors import ApprenticeError

if TYPE_CHECKING:
    from learning.engine import Completion, Engine

FAILED_CODE = 4
AT_ONCE = 8
ALONE = 6
"""Questions that are asked one after the other to measure speed."""
WARM_UP = "Hello"
HUB_PATIENCE_S = 10
OTHER_MODEL = "Fetch or save the model again, or choose one that this version of transformers knows."
Tell = Callable[[str, int, int], None]
"""Hears what is done, how much of it, and of how much."""


class FetchJob(Form):
    """What to have on this disk: `builtin:...`, a local folder, or a hub id."""

    base: str
    cache_folder: Path


class Fetched(Form):
    """Where the model is, and what its files say."""

    path: Path
    digest: str
    files: ModelFiles


class AskJob(Form):
    """What to ask of which model; `threads = 0` takes all cores."""

    base: str
    model: Fetched
    system_prompt: str
    questions: tuple[Question, ...]
    max_new_tokens: int
    threads: int
    dtype: Literal["auto", "float32", "bfloat16"]


def fetch(job: FetchJob, tell: Tell) -> Fetched:
    """Have the model here, and read what its files say.

    Raises:
        BaseModelError, ModelFilesError: it is not there, or damaged.

    """
    base = prepare(job.base, job.cache_folder, lambda what, share: tell(what, round(100 * share), 100))
    files = read_model_files(base.path)
    if base.licence != NOT_STATED:  # of the built-in model the product knows it, its files do not say
        files = files.model_copy(update={"licence": base.licence})
    elif not (job.base.startswith(BUILTIN_SCHEME) or Path(job.base).is_dir()):
        files = files.model_copy(update={"licence": _hub_licence(job.base)})
    return Fetched(path=base.path, digest=base.digest, files=files)


def _hub_licence(name: str) -> str:
    """Ask the hub for the card, which is not among the files that are fetched."""
    from huggingface_hub import model_info  # noqa: PLC0415 - seconds of import
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled  # noqa: PLC0415

    try:
        card = model_info(name, timeout=HUB_PATIENCE_S).card_data
    except (HfHubHTTPError, OfflineModeIsEnabled, OSError):
        return NOT_STATED
    return licence_in_card(card.to_dict() if card else None) or NOT_STATED


def ask(job: AskJob, tell: Tell) -> Asked:
    """Ask all questions, greedily, and measure speed and memory meanwhile.

    Raises:
        AssessError: it does not fit into memory, or its chat template refuses our messages.
        BaseModelError, EngineError: it cannot be loaded or computed.

    """
    from learning.engine import Engine  # noqa: PLC0415 - seconds of import
    from learning.hardware import detect, free_device_mb, peak_device_mb, peak_memory_mb  # noqa: PLC0415

    free, hardware = free_device_mb(), detect(job.threads, job.dtype)
    _check_room(job.model.files.parameters * hardware.dtype.itemsize / 2**20, free)
    tell("loading the model", 0, 0)
    base = BaseModel(job.base, job.model.path, job.model.digest, job.model.files.licence)
    engine = Engine.start(base, hardware, max_batch=AT_ONCE)
    try:
        speed, answers = _questioned(engine, job, tell)
        parameters, weights = engine.borrow(lambda model, _tokenizer, _route: _size(model))
    finally:
        engine.close()
    return Asked(
        device=hardware.device, dtype=hardware.dtype_name, parameters=parameters, weights_mb=weights,
        peak_mb=peak_memory_mb(), peak_device_mb=peak_device_mb(), free_mb=free, speed=speed, answers=answers,
    )  # fmt: skip


def _check_room(weights_mb: float, free_mb: float) -> None:
    if weights_mb > free_mb:
        raise AssessError(
            f"its weights alone need {weights_mb:,.0f} MB, and {free_mb:,.0f} MB are free. "
            "Stop other programs, or choose a smaller model."
        )


def _questioned(engine: "Engine", job: AskJob, tell: Tell) -> tuple[Speed, list[Given]]:
    """Ask the first questions one after the other and the rest AT_ONCE; of few, some are asked again for the speed."""
    from learning.engine import Sampling  # noqa: PLC0415

    sampling = Sampling(max_new_tokens=job.max_new_tokens)
    total = len(job.questions)

    def answer(questions: Sequence[Question], done: int) -> list["Completion"]:
        conversations = [build_messages(each.text, job.system_prompt) for each in questions]
        return engine.generate_many(
            conversations,
            adapter=None,
            sampling=sampling,
            on_done=lambda count: tell("asking", min(done + count, total), total),
        )

    try:
        engine.generate(build_messages(WARM_UP, job.system_prompt), adapter=None, sampling=Sampling(max_new_tokens=2))
    except TemplateError as error:
        raise AssessError(
            f"its chat template refuses our messages: {error}. Where it takes no system message, "
            'set model.system_prompt to ""; else choose a model that is made for chat.'
        ) from error
    first, rest = job.questions[:ALONE], job.questions[ALONE:]
    alone = [answer([question], at)[0] for at, question in enumerate(first)]
    more = list(itertools.islice(itertools.cycle(job.questions), max(0, AT_ONCE - len(rest))))
    started = time.monotonic()
    together = answer([*rest, *more], len(first))
    seconds = time.monotonic() - started
    said = [*alone, *together[: len(rest)]]
    given = [
        Given(kind=question.kind, question=question.text, answer=each.text, right=is_right(question, each.text))
        for question, each in zip(job.questions, said, strict=True)
    ]
    return _speed(alone, together, seconds), given


def _speed(alone: Sequence["Completion"], together: Sequence["Completion"], seconds: float) -> Speed:
    return Speed(
        answers=len(alone),
        seconds_per_answer=statistics.fmean(each.seconds for each in alone),
        seconds_to_first_token=statistics.median(each.seconds_to_first_token for each in alone),
        tokens_per_second=sum(len(each.token_ids) for each in alone) / sum(each.seconds for each in alone),
        tokens_per_second_at_once=sum(len(each.token_ids) for each in together) / seconds,
    )


def _size(model: Any) -> tuple[int, float]:
    """Return how many parameters the loaded model has, and their MB; tied ones count once."""
    parameters = list(model.parameters())
    count = sum(each.numel() for each in parameters)
    return count, sum(each.numel() * each.element_size() for each in parameters) / 2**20


def _explain(error: Exception) -> str:
    """Say what happened, and what to do next."""
    if type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError):
        return "not enough memory. Stop other programs, or choose a smaller model."
    if type(error).__name__ == "EngineError":
        return f"{error} {OTHER_MODEL}"
    if isinstance(error, ApprenticeError):
        return str(error)
    return f"{type(error).__name__}: {error}. {OTHER_MODEL}"


def _tell(what: str, done: int, total: int) -> None:
    print(json.dumps({"what": what, "done": done, "total": total}), flush=True)  # noqa: T201 - the parent reads it


STAGES: dict[str, tuple[type[Any], Callable[[Any, Tell], Form]]] = {"fetch": (FetchJob, fetch), "ask": (AskJob, ask)}


def main(arguments: Sequence[str]) -> int:
    """Do the named stage of the job in the folder; return FAILED_CODE with error.json where it cannot be done."""
    stage, folder = arguments[0], Path(arguments[1])
    form, do = STAGES[stage]
    try:
        result = do(form.model_validate_json((folder / "job.json").read_bytes()), _tell)
    except Exception as error:  # noqa: BLE001 - the last place that can tell the parent
        traceback.print_exc()
        (folder / "error.json").write_text(json.dumps(_explain(error)), encoding="utf-8")
        return FAILED_CODE
    (folder / "result.json").write_text(result.model_dump_json(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
