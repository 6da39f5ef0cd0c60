"""The parent's side of training: starts the process, follows its progress, cancels it, and says how it ended.

Imports no model library, so a command line that only wants to start or watch a run stays light.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
from pydantic import BaseModel, ConfigDict

from learning.recipe import Recipe
from storage.errors import AlreadyRunningError, ApprenticeError

CANCELLED_CODE = 3
FAILED_CODE = 4
POLL_SECONDS = 0.2
GRACE_SECONDS = 15.0
"""How long a trainer that was told to stop may take before it is killed; it keeps its checkpoints either way."""
LOG_TAIL = 1_500


class TrainingFailed(ApprenticeError):  # noqa: N818 - an outcome, named as the run states are
    """Training ended with an error that starting it again would not mend by itself."""


class TrainingInterrupted(ApprenticeError):  # noqa: N818
    """The training process was killed; started again with the same folder it goes on from its last checkpoint."""


class TrainingCancelled(ApprenticeError):  # noqa: N818
    """Training was stopped on request; it can be resumed like an interrupted one."""


class TrainingJob(BaseModel):
    """Everything the training process needs to know; written to job.json. `threads = 0` takes all cores.

    `start_*` name the adapter from which the run starts, with the snapshot that it learned; None: the base model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_name: str
    base_path: str
    base_digest: str
    snapshot_folder: str
    snapshot_digest: str
    recipe: Recipe
    system_prompt: str
    cache_folder: str
    threads: int = 0
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    parent_digest: str | None = None
    start_reason: str = ""
    start_digest: str | None = None
    start_folder: str | None = None
    start_snapshot_folder: str | None = None


@dataclass(frozen=True)
class TrainingProgress:
    """What the process is doing. `total` is 0 and the figures None where they are not known; rate is steps a second.

    `seconds_spent` is what the run took so far, before it was killed and resumed too; `plan` comes with phase "plan".
    """

    phase: str
    step: int = 0
    total: int = 0
    loss: float | None = None
    rate: float | None = None
    seconds_left: float | None = None
    seconds_spent: float | None = None
    message: str = ""
    plan: dict[str, Any] | None = None


@dataclass(frozen=True)
class TrainingResult:
    """Where the adapter's files are, and what training took; `loss` is that of the last step.

    `peak_mb` is the most memory held, `peak_device_mb` what of it was in the memory in which the model lives.
    """

    adapter_folder: Path
    steps: int
    planned_steps: int
    seconds: float
    loss: float
    peak_mb: float
    peak_device_mb: float


OnProgress = Callable[[TrainingProgress], None]


def train(
    job: TrainingJob, folder: Path, on_progress: OnProgress, stop: threading.Event | None = None
) -> TrainingResult:
    """Train in a process of its own and wait for it; a finished folder gives its result at once.

    Args:
        job: what to train. A folder that already holds a job must hold the same one.
        folder: where job, progress, log, checkpoints and adapter are kept; made if it is not there.
        on_progress: called from this thread with each event.
        stop: set it from another thread to cancel.

    Raises:
        TrainingCancelled: `stop` was set.
        TrainingInterrupted: the process was killed from outside.
        TrainingFailed: it ended with an error, which the message explains.
        AlreadyRunningError: another process trains in this folder.

    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(job, folder)
    if (folder / "result.json").exists():
        return read_result(folder)
    process = _start(folder)
    try:
        cancelled = _follow(process, folder, on_progress, stop or threading.Event())
    finally:
        _end(process)
        (folder / "trainer.pid").unlink(missing_ok=True)
    if cancelled:
        raise TrainingCancelled("training was stopped on request. Start it again and it goes on where it stood.")
    return _outcome(process.returncode, folder)


def running_trainer(folder: Path) -> int | None:
    """Return the process id of the trainer that works in this folder; None when there is none (any more)."""
    process = _trainer_in(folder)
    return process.pid if process is not None else None


def _trainer_in(folder: Path) -> psutil.Process | None:
    """Find the process that was noted here; its number may have gone to another one, or stand for a zombie."""
    try:
        pid, started = json.loads((folder / "trainer.pid").read_text(encoding="utf-8"))
        process = psutil.Process(pid)
        same = abs(process.create_time() - started) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, psutil.Error):
        return None
    return process if same else None


def stop_trainer(folder: Path) -> None:
    """End the trainer in this folder whose starter is dead, if there is one; it can be resumed from its checkpoint.

    Only for whoever knows that the starter is dead.
    """
    process = _trainer_in(folder)
    if process is None:
        return
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        _, alive = psutil.wait_procs([process], timeout=GRACE_SECONDS)
        for stubborn in alive:
            stubborn.kill()
            stubborn.wait(GRACE_SECONDS)


def log_lines(folder: Path, count: int) -> list[str]:
    """Return the last lines of the trainer's log; none when it wrote nothing, or the folder is lost."""
    try:
        text = (folder / "trainer.log").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return text.splitlines()[-count:]


def read_progress(folder: Path) -> list[TrainingProgress]:
    """Return all events so far, oldest first: the curves of the run."""
    try:
        lines = (folder / "progress.jsonl").read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [event for line in lines if (event := _event(line)) is not None]


def read_result(folder: Path) -> TrainingResult:
    """Return how the training in this folder ended."""
    content: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return TrainingResult(
        folder / "adapter",
        content["steps"],
        content["planned_steps"],
        content["seconds"],
        content["loss"],
        content["peak_mb"],
        content.get("peak_device_mb", content["peak_mb"]),
    )


def child_environment(environment: Mapping[str, str], *, hub: bool = False) -> dict[str, str]:
    """Give the child this program's import path, whatever folder it was started in; no calls to a hub unless `hub`."""
    room = str(Path(__file__).resolve().parent.parent)
    paths = [room, *filter(None, [environment.get("PYTHONPATH")])]
    return {
        **environment,
        "PYTHONPATH": os.pathsep.join(paths),
        **({} if hub else {"HF_HUB_OFFLINE": "1"}),
        "TOKENIZERS_PARALLELISM": "false",
    }


def _claim(job: TrainingJob, folder: Path) -> None:
    if (pid := running_trainer(folder)) is not None:
        raise AlreadyRunningError(f"process {pid} already trains in {folder}. Wait for it, or stop that process.")
    path = folder / "job.json"
    content = job.model_dump_json(indent=1)
    if path.exists() and path.read_text(encoding="utf-8") != content:
        raise TrainingFailed(f"{folder} holds another job. Use an empty folder for a new run.")
    (folder / "error.json").unlink(missing_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(content, encoding="utf-8")
    draft.replace(path)


def _start(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "trainer.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "learning.trainer", str(folder.resolve())],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            env=child_environment(os.environ), start_new_session=True,
        )  # fmt: skip
    identity = [process.pid, psutil.Process(process.pid).create_time()]
    (folder / "trainer.pid").write_text(json.dumps(identity), encoding="utf-8")
    return process


def _follow(process: subprocess.Popen[bytes], folder: Path, on_progress: OnProgress, stop: threading.Event) -> bool:
    """Pass events on until the process ends; return whether it was cancelled."""
    path = folder / "progress.jsonl"
    path.touch()
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        rest = b""
        while True:
            ended = process.poll() is not None
            *lines, rest = (rest + file.read()).split(b"\n")
            for line in lines:
                if (event := _event(line)) is not None:
                    on_progress(event)
            if ended:
                return process.returncode == CANCELLED_CODE
            if stop.wait(POLL_SECONDS):
                _end(process)
                return True


def _event(line: bytes) -> TrainingProgress | None:
    """Read one event; a line that was cut short by a kill is none."""
    try:
        return TrainingProgress(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        deadline = time.monotonic() + GRACE_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    if process.poll() is None:
        process.kill()
    process.wait()


def _outcome(code: int, folder: Path) -> TrainingResult:
    if code == 0 and (folder / "result.json").exists():
        return read_result(folder)
    error = folder / "error.json"
    if error.exists():
        content = json.loads(error.read_text(encoding="utf-8"))
        raise TrainingFailed(": ".join(filter(None, [content["where"], content["what"], content["todo"]])))
    if code < 0:
        name = signal.Signals(-code).name
        raise TrainingInterrupted(
            f"the training process in {folder} was killed ({name}; by the system when memory ran out, or by hand). "
            "Start it again and it goes on from its last checkpoint."
        )
    raise TrainingFailed(f"training in {folder} ended with code {code}. The end of its log: {_log_tail(folder)}")


def _log_tail(folder: Path) -> str:
    text = (folder / "trainer.log").read_text(encoding="utf-8", errors="replace")
    return text[-LOG_TAIL:].strip() or "(empty)"
