"""Seeing from any process that a run is to be cancelled, and ending what a dead process left of one."""

import threading
from pathlib import Path

import pytest

from learning.cancelling import settle_requests, sole_training, watching
from storage.database import Database
from storage.errors import AlreadyRunningError
from storage.runs import get_run
from tests.governance.installation import APPROVER, STARTER, Installation


@pytest.fixture
def house(sqlite_database: Database, tmp_path: Path) -> Installation:
    return Installation(sqlite_database, tmp_path)


def begun(house: Installation) -> str:
    run = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    return house.governance.start_run(run.id, "5" * 64, 3, {}).id


def state_of(house: Installation, run: str) -> str:
    with house.database.read() as session:
        return get_run(session, run).state


def test_whoever_works_on_a_run_is_told_when_it_is_to_be_cancelled(house: Installation) -> None:
    run, other, stop = begun(house), begun(house), threading.Event()
    with watching(house.database, run, stop.set, seconds=0.01):
        house.governance.cancel_run(other, APPROVER)
        assert not stop.wait(0.1)
        house.governance.cancel_run(run, APPROVER)
        assert stop.wait(30)


def test_only_one_trains_with_a_folder(tmp_path: Path) -> None:
    with sole_training(tmp_path), pytest.raises(AlreadyRunningError), sole_training(tmp_path):
        pass
    with sole_training(tmp_path):
        pass


def test_what_was_to_be_cancelled_when_its_process_died_is_cancelled_at_the_next_start(
    house: Installation, tmp_path: Path
) -> None:
    asked, untouched = begun(house), begun(house)
    house.governance.cancel_run(asked, APPROVER)

    with sole_training(tmp_path / "runs"):
        settle_requests(house.governance, tmp_path / "runs")
        assert state_of(house, asked) == "running"
    settle_requests(house.governance, tmp_path / "runs")

    assert (state_of(house, asked), state_of(house, untouched)) == ("cancelled", "running")
