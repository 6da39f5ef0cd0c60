"""Keeps the engine serving what the database says is serving: the database decides, the engine follows."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlmodel import Session

from learning.engine import Engine
from storage.adapters import Adapter, serving_adapter
from storage.artifacts import ArtifactStore
from storage.database import Database

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""How long an adapter that could not be loaded is left alone; its files may have been restored by then."""


@dataclass(frozen=True)
class Refusal:
    """The adapter that should serve and cannot be loaded, and why."""

    digest: str
    why: str


class ServingAdapter:
    """Follows the one adapter in state `serving`, from whichever process put it there."""

    def __init__(
        self,
        database: Database,
        store: ArtifactStore,
        engine: Engine,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._store = store
        self._engine = engine
        self._clock = clock
        self._lock = asyncio.Lock()
        self._retry_at = 0.0
        self.wanted: str | None = None
        """The digest that the database named last; None for the base model."""
        self.refused: Refusal | None = None
        """Why something else than `wanted` answers; None when nothing else does."""

    async def sync(self) -> str | None:
        """Make the engine serve the adapter that the database names; return the digest served (None: the base model).

        An adapter whose files are missing, damaged or do not fit is not loaded; what served before goes on serving.
        """
        async with self._lock:
            return await asyncio.to_thread(self._sync)

    def answering(self, session: Session) -> Adapter | None:
        """Return the adapter that answers now, not the one that should when that was refused; None: the base model."""
        digest = self._engine.serving
        return session.get(Adapter, digest) if digest else None

    def _sync(self) -> str | None:
        with self._database.read() as session:
            adapter = serving_adapter(session)
        self.wanted = adapter.digest if adapter else None
        if self.refused and self.refused.digest != self.wanted:
            self.refused, self._retry_at = None, 0.0
        if self.wanted != self._engine.serving and self._clock() >= self._retry_at:
            self._swap(self.wanted)
        return self._engine.serving

    def _swap(self, digest: str | None) -> None:
        try:
            if digest is not None:
                self._engine.load_adapter(digest, self._store.verify(digest))
            self._engine.serve(digest)
        except Exception as error:
            if digest is None:
                raise
            refusal = Refusal(digest, str(error))
            if refusal != self.refused:  # the log is told once, not at every try
                instead = self._engine.serving
                log.exception(
                    "adapter %s cannot be served; %s goes on answering",
                    digest,
                    f"adapter {instead}" if instead else "the base model",
                )
            self.refused, self._retry_at = refusal, self._clock() + RETRY_S
        else:
            self.refused, self._retry_at = None, 0.0
            log.info("serving %s", digest[:12] if digest else "the base model")
