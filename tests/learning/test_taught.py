"""Which feedback an adapter was trained on, as its snapshot says."""

from pathlib import Path

import pytest

from learning.curation import PreferencePair, Row, Snapshot, Thumb, write_snapshot
from learning.taught import adapter_taught, trained_on
from storage.artifacts import ArtifactStore
from storage.database import Database
from tests.governance.installation import APPROVER, GOOD, STARTER, Installation

SNAPSHOT = Snapshot(
    rows=(Row("q1", "a1", ("row",), ("T1/U1",), private=False),),
    pairs=(PreferencePair("q2", "a2", "b2", ("pair",)), PreferencePair("q3", "a3", "b3", ("held",), "held_out")),
    manifest={},
    thumbs=(Thumb("q4", "a4", liked=True, feedback_ids=("thumb",)),),
)


@pytest.fixture
def house(sqlite_database: Database, tmp_path: Path) -> Installation:
    return Installation(sqlite_database, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def publish(store: ArtifactStore) -> str:
    return store.publish(lambda folder: write_snapshot(SNAPSHOT, folder))


def propose(house: Installation, snapshot: str) -> str:
    run = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    house.governance.start_run(run.id, snapshot, 1, {})
    house.governance.register_adapter(run.id, "a" * 64, "base", None, snapshot)
    house.governance.record_evaluation("a" * 64, "report", GOOD)
    return house.governance.propose("a" * 64, {}).id


def test_what_is_held_out_is_not_trained_on(store: ArtifactStore) -> None:
    assert sorted(trained_on(store.path(publish(store)))) == ["pair", "row", "thumb"]


def test_an_adapter_that_waits_for_approval_or_answers_is_found(house: Installation, store: ArtifactStore) -> None:
    assert adapter_taught(house.database, store, {"row"}) is None
    proposal = propose(house, publish(store))

    assert adapter_taught(house.database, store, {"row", "other"}) == "a" * 64
    assert adapter_taught(house.database, store, {"held", "other"}) is None
    house.governance.decide(proposal, APPROVER, "approve")
    assert adapter_taught(house.database, store, {"thumb"}) == "a" * 64


def test_an_adapter_whose_snapshot_is_lost_counts_as_not_taught(house: Installation, store: ArtifactStore) -> None:
    propose(house, "5" * 64)

    assert adapter_taught(house.database, store, {"row"}) is None
