"""A measurement in a process of its own, so that each side has the machine's memory and threads to itself."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from learning.training import child_environment
from storage.errors import ApprenticeError

LOG_TAIL = 1_500
END_SECONDS = 10
Result = TypeVar("Result", bound=BaseModel)


class BenchError(ApprenticeError):
    """A measurement could not be made."""


def run_child(module: str, job: BaseModel, folder: Path, result: type[Result]) -> Result:
    """Run `python -m module FOLDER` on the job, and read the result that it leaves there.

    Raises:
        BenchError: it ended with an error; the message has the end of its log.

    """
    _write_job(job, folder)
    with (folder / "log").open("wb") as log:
        ended = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", module, str(folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=child_environment(os.environ), check=False,
        )  # fmt: skip
    if ended.returncode:
        raise _ended(module, ended.returncode, folder)
    return result.model_validate_json((folder / "result.json").read_bytes())


@asynccontextmanager
async def running_child(module: str, job: BaseModel, folder: Path) -> AsyncIterator["asyncio.Task[None]"]:
    """Run `python -m module FOLDER` on the job for as long as the block runs.

    Gives a task that ends, with a BenchError, when the child ends by itself.
    """
    _write_job(job, folder)
    with (folder / "log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, str(folder),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=child_environment(os.environ),
        )  # fmt: skip

    async def watch() -> None:
        raise _ended(module, await child.wait(), folder)

    watching = asyncio.create_task(watch())
    try:
        yield watching
    finally:
        watching.cancel()
        await _end(child)


def _write_job(job: BaseModel, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(job.model_dump_json(), encoding="utf-8")


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        child.terminate()
        try:
            await asyncio.wait_for(child.wait(), END_SECONDS)
        except TimeoutError:
            child.kill()
            await child.wait()


def _ended(module: str, code: int, folder: Path) -> BenchError:
    tail = (folder / "log").read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
    return BenchError(f"{module} ended with code {code}. The end of its log: {tail}")
