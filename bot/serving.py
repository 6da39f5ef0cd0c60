"""Keeps the engine serving what the database says is serving: the database decides, the engine follows."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session

from learning.answering_engine import AnsweringEngine
from storage.adapters import Adapter, canary_adapter, serving_adapter
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


Side = Literal["serving", "canary"]


@dataclass(frozen=True)
class Chosen:
    """The adapter that answers a person (None: the base model), and on which side of a rollout that puts them."""

    digest: str | None
    side: Side


class ServingAdapter:
    """Follows the adapters in states `serving` and `canary`, from whichever process put them there."""

    def __init__(
        self,
        database: Database,
        store: ArtifactStore,
        engine: AnsweringEngine,
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
        self.canary: str | None = None
        """The digest of the adapter that a share of the people gets; None while nobody does."""
        self.refused_canary: Refusal | None = None

    async def sync(self) -> str | None:
        """Make the engine serve the adapter that the database names; return the digest served (None: the base model).

        An adapter whose files are missing, damaged or do not fit is not loaded; what served before goes on serving.
        """
        async with self._lock:
            return await asyncio.to_thread(self._sync)

    def for_person(self, person_id: str, canary_share: float) -> Chosen:
        """Choose who answers a person: a share of them gets the canary, each always the same while it is one."""
        canary = self.canary
        if canary is not None and self._engine.is_loaded(canary) and share_of(person_id, canary) < canary_share:
            return Chosen(canary, "canary")
        return Chosen(self._engine.serving, "serving")

    def answering(self, session: Session) -> Adapter | None:
        """Return the adapter that answers now, not the one that should when that was refused; None: the base model."""
        digest = self._engine.serving
        return session.get(Adapter, digest) if digest else None

    def _sync(self) -> str | None:
        with self._database.read() as session:
            adapter, canary = serving_adapter(session), canary_adapter(session)
        self._follow_canary(canary.digest if canary else None)
        self.wanted = adapter.digest if adapter else None
        if self.refused and self.refused.digest != self.wanted:
            self.refused, self._retry_at = None, 0.0
        if self.wanted != self._engine.serving and self._clock() >= self._retry_at:
            self._swap(self.wanted)
        return self._engine.serving

    def _follow_canary(self, digest: str | None) -> None:
        """Have the canary in memory; one that cannot be loaded answers nobody, and people get the serving one."""
        if self.refused_canary and self.refused_canary.digest == digest:
            return
        self.refused_canary = None
        try:
            if digest is not None and not self._engine.is_loaded(digest):  # anew, where others took its room
                self._engine.load_adapter(digest, self._store.verify(digest))
        except Exception as error:
            log.exception("adapter %s cannot answer as a canary", digest)
            self.refused_canary, digest = Refusal(str(digest), str(error)), None
        self.canary = digest

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


def share_of(person_id: str, digest: str) -> float:
    """Return where a person falls between 0 and 1, evenly among people and anew for each canary."""
    hashed = hashlib.sha256(f"{digest}/{person_id}".encode()).digest()
    return int.from_bytes(hashed[:8]) / 2**64
