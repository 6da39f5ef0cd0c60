"""Timed swaps of a benchmark: adapters are loaded, served and unloaded while several questions are answered.

`python -m learning.swap_timing FOLDER` reads job.json there and leaves result.json behind. There is memory for all
adapters but one, so that each swap reads one from its files and drops another.
"""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import cycle
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from learning import base_model
from learning.adapter_files import WEIGHTS
from learning.engine import Completion, Engine, Sampling
from learning.hardware import MB, detect, short_collections
from learning.prompts import build_messages
from storage.artifacts import folder_digest
from storage.errors import ApprenticeError


class SwapJob(BaseModel):
    """`count` swaps among the adapters while each question is asked again and again, all at once."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_path: str
    base_digest: str
    adapter_folders: tuple[str, ...]
    system_prompt: str
    questions: tuple[str, ...]
    count: int
    new_tokens: int
    threads: int = 0


class Pauses(BaseModel):
    """How answers paused: a pause is the time between one token of an answer and the next.

    `long`: how many of the answers had one of more than `LONG_MS`. Those of the first answers, while which all
    questions are read at once, are not counted.
    """

    answers: int
    long: int
    longest_ms: float


class SwapResult(BaseModel):
    """What came of it; `undisturbed` while the same questions are asked without any swap, for as long.

    A machine that is not ours alone has moments in which everything takes twice as long, and more of them the longer it
    is watched: only the same time without swaps shows what swaps do.
    """

    failed: int
    seconds: float
    swapping: Pauses
    undisturbed: Pauses


LONG_MS = 100
"""A pause that somebody who reads along would notice (Nielsen, 1993)."""
Outcome = Completion | ApprenticeError


def run(folder: Path) -> None:
    """Do the job in `folder`."""
    job = SwapJob.model_validate_json((folder / "job.json").read_bytes())
    base = base_model.BaseModel("", Path(job.base_path), job.base_digest, "")
    folders = [Path(each) for each in job.adapter_folders]
    _, *others = sorted((each / WEIGHTS).stat().st_size for each in folders)
    hardware, room_mb = detect(job.threads, "float32"), sum(others) // MB + 1
    with (
        closing(Engine.start(base, hardware, max_batch=len(job.questions), adapter_memory_mb=room_mb)) as engine,
        short_collections(),
    ):
        result = _measure(engine, job, {folder_digest(each): each for each in folders})
    (folder / "result.json").write_text(result.model_dump_json(), encoding="utf-8")


def _measure(engine: Engine, job: SwapJob, folders: dict[str, Path]) -> SwapResult:
    digests = cycle(folders)

    def swap(times: int) -> None:
        for _ in range(times):
            digest = next(digests)
            engine.load_adapter(digest, folders[digest])
            engine.serve(digest)

    swap(1)
    began = time.monotonic()
    swapping = _answers_while(engine, job, lambda: swap(job.count))
    seconds = time.monotonic() - began
    undisturbed = _answers_while(engine, job, lambda: time.sleep(seconds))
    return SwapResult(
        failed=sum(isinstance(each, ApprenticeError) for outcomes in swapping for each in outcomes),
        seconds=seconds,
        swapping=_pauses(swapping),
        undisturbed=_pauses(undisturbed),
    )


def _answers_while(engine: Engine, job: SwapJob, work: Callable[[], None]) -> list[list[Outcome]]:
    """Ask all questions, each again as soon as it is answered, until `work` is done and for one whole answer more.

    Returns:
        The answers to each question.

    """
    done = threading.Event()

    def ask(question: str) -> list[Outcome]:
        outcomes = [_answer(engine, job, question), _answer(engine, job, question)]
        while not done.is_set():
            outcomes.append(_answer(engine, job, question))
        return outcomes

    with ThreadPoolExecutor(len(job.questions)) as people:
        asking = [people.submit(ask, question) for question in job.questions]
        try:
            work()
        finally:
            done.set()
        return [each.result() for each in asking]


def _answer(engine: Engine, job: SwapJob, question: str) -> Outcome:
    messages = build_messages(question, job.system_prompt)
    try:
        return engine.generate(messages, sampling=Sampling(max_new_tokens=job.new_tokens))
    except ApprenticeError as error:
        return error


def _pauses(answers: Sequence[Sequence[Outcome]]) -> Pauses:
    later = [each for outcomes in answers for each in outcomes[1:] if isinstance(each, Completion)]
    longest = [1000 * each.longest_pause for each in later]
    return Pauses(
        answers=len(longest), long=sum(each > LONG_MS for each in longest), longest_ms=max(longest, default=0.0)
    )


def main(arguments: Sequence[str]) -> None:
    """Run the job in the folder that is named."""
    run(Path(arguments[0]))


if __name__ == "__main__":
    main(sys.argv[1:])
