"""Cancelling a run from any process: asks whoever works on it through the database, or ends what a dead one left.

Imports no model library.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from sqlalchemy.exc import SQLAlchemyError

from governance.flows import Governance
from learning.training import stop_trainer
from storage.database import Database
from storage.errors import AlreadyRunningError, ApprenticeError
from storage.people import names_of
from storage.runs import ACTIVE, Run, find_run, list_runs

log = logging.getLogger(__name__)


class RunCancelled(ApprenticeError):  # noqa: N818 - an outcome, named as the run states are
    """Somebody asked for the run to be cancelled, and it has stopped; it is not resumed."""


@contextmanager
def sole_training(run_folder: Path) -> Iterator[None]:
    """Be the only one that trains with this data folder.

    Raises:
        AlreadyRunningError: another process does, or another thread of this one.

    """
    run_folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_folder / "training.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise AlreadyRunningError("a training run is under way already. Wait for it: `apprentice runs`.") from None
    try:
        yield
    finally:
        lock.release()


def cancel(governance: Governance, run_folder: Path, run_id: str, actor: str, reason: str = "") -> Run:
    """Ask for a run to be cancelled, and cancel it at once where nobody works on it.

    Raises:
        ApprenticeError: as `Governance.cancel_run`.

    """
    run = governance.cancel_run(run_id, actor, reason)
    return settle(governance, run_folder, run)


def settle(governance: Governance, run_folder: Path, run: Run) -> Run:
    """Cancel a run that is to be cancelled, if nobody works on it; return it as it is then."""
    try:
        with sole_training(run_folder):
            stop_trainer(run_folder / run.id)
            now = _read(governance.database, run)
            remove_checkpoints(run_folder, run.id)
            return governance.finish_run(run.id, "cancelled") if now.state in ACTIVE else now
    except AlreadyRunningError:
        return _read(governance.database, run)


def settle_requests(governance: Governance, run_folder: Path) -> None:
    """Do so with every run whose process died before it saw that it was to be cancelled."""
    with governance.database.read() as session:
        asked = [run for run in list_runs(session, *ACTIVE) if run.cancelled_by is not None]
    for run in asked:
        settle(governance, run_folder, run)


@contextmanager
def watching(database: Database, run_id: str, stop: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `stop` when the run is to be cancelled; looked at every so many seconds, also while a step takes long."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(seconds):
            if _is_asked_for(database, run_id):
                stop()
                return

    watcher = threading.Thread(target=watch, name=f"watching {run_id}", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def told(database: Database, run: Run) -> str:
    """Say who cancelled a run, by name, and why."""
    with database.read() as session:
        names = names_of(session, [run.cancelled_by or ""])
    who = names.get(run.cancelled_by or "", run.cancelled_by)
    return f"run {run.id} was cancelled by {who}" + (f": {run.cancel_reason}" if run.cancel_reason else "")


def remove_checkpoints(run_folder: Path, run_id: str) -> None:
    """Remove what only a resumed run would need; job, progress, log and result stay."""
    shutil.rmtree(run_folder / run_id / "checkpoints", ignore_errors=True)


def _read(database: Database, run: Run) -> Run:
    with database.read() as session:
        return find_run(session, run.id) or run


def _is_asked_for(database: Database, run_id: str) -> bool:
    try:
        with database.read() as session:
            run = find_run(session, run_id)
    except SQLAlchemyError:
        log.exception("cannot see whether run %s is to be cancelled; looking again", run_id)
        return False
    return run is not None and run.cancelled_by is not None
