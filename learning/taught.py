"""Which feedback adapters were trained on; what the one that is to answer knows needs no worked example any more."""

import logging
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from learning.curation.snapshot import PAIRS_FILE, ROWS_FILE, THUMBS_FILE, read_records
from storage.adapters import Adapter, find_adapter, list_adapters
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.errors import ApprenticeError

log = logging.getLogger(__name__)


class TaughtFeedback:
    """What the adapters that answer learned. Not for several threads at once."""

    def __init__(self, database: Database, store: ArtifactStore) -> None:
        self._database = database
        self._learned = LearnedFeedback(store, keep=16)
        self._snapshots: dict[str, str | None] = {}

    def feedback_ids(self, adapter: str | None) -> frozenset[str]:
        """Return the ids of the feedback in the rows that an adapter (None: the base model) learned."""
        if adapter is None:
            return frozenset()
        if adapter not in self._snapshots:
            with self._database.read() as session:
                self._snapshots[adapter] = find_adapter(session, adapter).snapshot_digest
        return self._learned.ids(self._snapshots[adapter])


class LearnedFeedback:
    """What adapters learned, by the snapshot of each; the newest few are kept, because reading one takes a while."""

    def __init__(self, store: ArtifactStore, keep: int = 4) -> None:
        self._store = store
        self._keep = keep
        self._known: dict[str, frozenset[str]] = {}
        self._turn = threading.Lock()

    def ids(self, snapshot_digest: str | None) -> frozenset[str]:
        """Return the ids of the feedback in a snapshot's rows; may be called from several threads."""
        if snapshot_digest is None:
            return frozenset()
        with self._turn:
            known = self._known.pop(snapshot_digest, None)
            self._known[snapshot_digest] = feedback_in(self._store, snapshot_digest) if known is None else known
            if len(self._known) > self._keep:
                del self._known[next(iter(self._known))]
            return self._known[snapshot_digest]


def feedback_in(store: ArtifactStore, snapshot_digest: str) -> frozenset[str]:
    """Return the ids of the feedback in a snapshot's rows; none, and a line in the log, when it cannot be read."""
    try:
        rows = read_records(store.path(snapshot_digest), ROWS_FILE)
        return frozenset(feedback_id for row in rows for feedback_id in row.feedback_ids)
    except (ApprenticeError, OSError, ValueError, TypeError) as error:
        log.warning("what was learned from snapshot %s is not known: %s", snapshot_digest[:12], error)
        return frozenset()


def trained_on(snapshot: Path) -> Iterator[str]:
    """Give the ids of the feedback that a training on the snapshot in this folder learns from; some more than once."""
    for record in read_records(snapshot, ROWS_FILE):
        yield from record.feedback_ids
    for name in (PAIRS_FILE, THUMBS_FILE):
        for record in read_records(snapshot, name):
            if record.split == "train":
                yield from record.feedback_ids


def adapter_taught(database: Database, store: ArtifactStore, feedback_ids: Collection[str]) -> str | None:
    """Return the adapter that answers, or else one that waits for approval, if it learned from any of this feedback.

    None when none did; one whose snapshot cannot be read counts as such.
    """
    with database.read() as session:
        adapters = [*list_adapters(session, "serving"), *list_adapters(session, "proposed")]
    return next((adapter.digest for adapter in adapters if _learned(adapter, store, feedback_ids)), None)


def _learned(adapter: Adapter, store: ArtifactStore, feedback_ids: Collection[str]) -> bool:
    if adapter.snapshot_digest is None:
        return False
    try:
        return any(each in feedback_ids for each in trained_on(store.path(adapter.snapshot_digest)))
    except (ApprenticeError, OSError, ValueError, TypeError) as error:
        log.warning("what adapter %s learned from is not known: %s", adapter.digest, error)
        return False
