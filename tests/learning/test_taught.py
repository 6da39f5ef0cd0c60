"""Which feedback adapters were trained on, as their snapshots say."""

from pathlib import Path

import pytest

from learning.curation import PreferencePair, Row, Snapshot, Thumb, write_snapshot
from learning.curation.snapshot import ROWS_FILE
from learning.taught import LearnedFeedback, adapter_taught, trained_on
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


def learned_from(store: ArtifactStore, *ids: str) -> str:
    row = Row("When is payday?", f"On the 26th, said {ids}.", ids, ("T1/U1",), private=False)
    return store.publish(lambda folder: write_snapshot(Snapshot((row,), (), {}), folder))


def test_what_was_learned_from_a_snapshot_is_read_once_while_it_is_among_the_newest(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    digests = [learned_from(store, f"fb_{number}") for number in range(3)]
    learned = LearnedFeedback(store, keep=2)
    assert [learned.ids(digest) for digest in digests] == [{"fb_0"}, {"fb_1"}, {"fb_2"}]

    for digest in digests:
        (store.path(digest) / ROWS_FILE).unlink()

    assert learned.ids(digests[2]) == {"fb_2"}
    assert learned.ids(digests[0]) == frozenset()


@pytest.mark.parametrize("digest", [None, "f" * 64])
def test_of_what_is_not_there_nothing_was_learned(tmp_path: Path, digest: str | None) -> None:
    assert LearnedFeedback(ArtifactStore(tmp_path)).ids(digest) == frozenset()
