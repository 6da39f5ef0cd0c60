"""Which feedback an adapter was trained on. What the one that answers now learned needs no worked example any more."""

import logging
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from learning.curation.snapshot import PAIRS_FILE, ROWS_FILE, THUMBS_FILE, read_records
from storage.adapters import Adapter, find_adapter, list_adapters
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.errors import ApprenticeError

log = logging.getLogger(__name__)


class TaughtFeedback:
    """Follows the serving adapter, which `serving` names (None: the base model). Not for several threads at once."""

    def __init__(self, database: Database, store: ArtifactStore, serving: Callable[[], str | None]) -> None:
        self._database = database
        self._store = store
        self._serving = serving
        self._adapter: str | None = None
        self._feedback: frozenset[str] = frozenset()

    def feedback_ids(self) -> frozenset[str]:
        """Return the ids of the feedback in the rows that the serving adapter learned; reads them when it changes."""
        adapter = self._serving()
        if adapter != self._adapter:
            self._feedback = self._read(adapter) if adapter else frozenset()
            self._adapter = adapter
        return self._feedback

    def _read(self, adapter: str) -> frozenset[str]:
        with self._database.read() as session:
            digest = find_adapter(session, adapter).snapshot_digest
        if digest is None:
            return frozenset()
        try:
            rows = read_records(self._store.path(digest), ROWS_FILE)
            return frozenset(feedback_id for row in rows for feedback_id in row.feedback_ids)
        except (ApprenticeError, OSError, ValueError, TypeError) as error:
            log.warning("what adapter %s learned from is not known, so corrections stay at work: %s", adapter, error)
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
