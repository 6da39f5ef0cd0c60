"""Keeps the engine serving what the database says is serving: the database decides, the engine follows."""

import asyncio
import logging

from learning.engine import Engine
from storage.adapters import serving_adapter
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.errors import ApprenticeError

log = logging.getLogger(__name__)


class ServingAdapter:
    """Follows the one adapter in state `serving`, from whichever process put it there."""

    def __init__(self, database: Database, store: ArtifactStore, engine: Engine) -> None:
        self._database = database
        self._store = store
        self._engine = engine
        self._lock = asyncio.Lock()
        self._refused: str | None = None

    async def sync(self) -> str | None:
        """Make the engine serve the adapter that the database names; return its digest (None: the base model).

        An adapter whose files fail their digest check is not loaded; what served before goes on serving.
        """
        async with self._lock:
            return await asyncio.to_thread(self._sync)

    def _sync(self) -> str | None:
        with self._database.read() as session:
            adapter = serving_adapter(session)
        wanted = adapter.digest if adapter else None
        if wanted != self._engine.serving and (wanted is None or wanted != self._refused):
            self._swap(wanted)
        return self._engine.serving

    def _swap(self, digest: str | None) -> None:
        try:
            if digest is not None:
                self._engine.load_adapter(digest, self._store.verify(digest))
            self._engine.serve(digest)
            self._refused = None
            log.info("serving %s", digest[:12] if digest else "the base model")
        except ApprenticeError:
            self._refused = digest
            log.exception("adapter %s cannot be served; the one before it goes on answering", digest)
