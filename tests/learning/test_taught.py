"""What adapters learned, read from their snapshots."""

from pathlib import Path

import pytest

from learning.curation import Snapshot, write_snapshot
from learning.curation.snapshot import ROWS_FILE, Row
from learning.taught import LearnedFeedback
from storage.artifacts import ArtifactStore


def publish(store: ArtifactStore, *ids: str) -> str:
    row = Row("When is payday?", f"On the 26th, said {ids}.", ids, ("T1/U1",), private=False)
    return store.publish(lambda folder: write_snapshot(Snapshot((row,), (), {}), folder))


def test_what_was_learned_from_a_snapshot_is_read_once_while_it_is_among_the_newest(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    digests = [publish(store, f"fb_{number}") for number in range(3)]
    learned = LearnedFeedback(store, keep=2)
    assert [learned.ids(digest) for digest in digests] == [{"fb_0"}, {"fb_1"}, {"fb_2"}]

    for digest in digests:
        (store.path(digest) / ROWS_FILE).unlink()

    assert learned.ids(digests[2]) == {"fb_2"}
    assert learned.ids(digests[0]) == frozenset()


@pytest.mark.parametrize("digest", [None, "f" * 64])
def test_of_what_is_not_there_nothing_was_learned(tmp_path: Path, digest: str | None) -> None:
    assert LearnedFeedback(ArtifactStore(tmp_path)).ids(digest) == frozenset()
