"""Which feedback the adapter that answers now was trained on: it needs no worked example any more."""

import logging
from collections.abc import Callable

from learning.curation.snapshot import ROWS_FILE, read_records
from storage.adapters import find_adapter
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
