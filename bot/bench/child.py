"""A measurement in a process of its own, so that each side has the machine's memory and threads to itself."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from learning.training import child_environment
from storage.errors import ApprenticeError

LOG_TAIL = 1_500
Result = TypeVar("Result", bound=BaseModel)


class BenchError(ApprenticeError):
    """A measurement could not be made."""


def run_child(module: str, job: BaseModel, folder: Path, result: type[Result]) -> Result:
    """Run `python -m module FOLDER` on the job, and read the result that it leaves there.

    Raises:
        BenchError: it ended with an error; the message has the end of its log.

    """
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(job.model_dump_json(), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        ended = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", module, str(folder)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=child_environment(os.environ), check=False,
        )  # fmt: skip
    if ended.returncode:
        tail = (folder / "log").read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        raise BenchError(f"{module} ended with code {ended.returncode}. The end of its log: {tail}")
    return result.model_validate_json((folder / "result.json").read_bytes())
