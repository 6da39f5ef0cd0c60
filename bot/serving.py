"""Keeps the engine serving what the database says is serving: the database decides, the engine follows.

It holds the canaries in memory too, and what people and channels are pinned to.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlmodel import Session

from governance.policy import Policy
from learning.answering_engine import AnsweringEngine
from storage.adapters import Adapter, list_adapters
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.domains import DEFAULT_DOMAIN
from storage.pins import Pin, list_pins
from storage.records import Clock, utc_now

log = logging.getLogger(__name__)

RETRY_S = 30.0
"""How long an adapter that could not be loaded is left alone; its files may have been restored by then."""


@dataclass(frozen=True)
class Refusal:
    """An adapter that should answer and cannot be loaded, why, and when that is tried again (seconds of the clock)."""

    digest: str
    why: str
    retry_at: float


Side = Literal["serving", "canary", "pinned", "compared"]


@dataclass(frozen=True)
class Chosen:
    """The adapter that answers a person (None: the base model), and on which side of a rollout that puts them.

    Answers to whoever is `pinned`, and two that are `compared`, are on neither (`storage.figures.APART`).
    """

    digest: str | None
    side: Side


class ServingAdapter:
    """Follows the adapters in states `serving` and `canary`, from whichever process put them there.

    That of the default domain is the one that the engine serves; those of other domains are kept loaded beside it.
    """

    def __init__(
        self,
        database: Database,
        store: ArtifactStore,
        engine: AnsweringEngine,
        clock: Callable[[], float] = time.monotonic,
        now: Clock = utc_now,
    ) -> None:
        self._database = database
        self._store = store
        self._engine = engine
        self._clock = clock
        self._now = now
        self._lock = asyncio.Lock()
        self._own: dict[str, str] = {}
        self._canaries: dict[str, str] = {}
        self._shadows: dict[str, str] = {}
        self._pin_again_at: dict[str, float] = {}
        self.wanted: dict[str, str] = {}
        """Domain -> digest of the adapter that the database named last; the base model has none."""
        self.refusals: dict[str, Refusal] = {}
        """Digest -> why that adapter, which should answer, does not."""

    async def sync(self) -> None:
        """Make the engine serve the adapters that the database names.

        An adapter whose files are missing, damaged or do not fit is not loaded; what served before goes on serving, and
        of a canary nobody gets answers.
        """
        async with self._lock:
            await asyncio.to_thread(self._sync)

    async def have(self, digest: str) -> str:
        """Have an adapter in memory, to be compared; return why that cannot be, empty when it is."""
        async with self._lock:
            return await asyncio.to_thread(lambda: "" if self._load(digest) else self.refusals[digest].why)

    @property
    def refused(self) -> Refusal | None:
        """Why something else than what should answers in the default domain; None when nothing else does."""
        return self.refusals.get(self.wanted.get(DEFAULT_DOMAIN, ""))

    def answers(self, domain: str = DEFAULT_DOMAIN) -> str | None:
        """Return the digest of what answers those in a domain who get no canary; None: the base model."""
        own = self._own.get(domain)
        return own if own is not None and self._engine.is_loaded(own) else self._engine.serving

    def for_person(
        self, person_id: str, policy: Policy, domain: str = DEFAULT_DOMAIN, pin: Pin | None = None
    ) -> Chosen:
        """Choose who answers a person: a share of them gets the canary, each always the same while it is one.

        A domain without any adapter of its own has what the default one has, its canary too. The pin that holds goes
        first; while its adapter is not in memory, the person gets what they would get without it.
        """
        if pin is not None and (pin.adapter_digest is None or self._engine.is_loaded(pin.adapter_digest)):
            return Chosen(pin.adapter_digest, "pinned")
        home = domain if domain in {*self._own, *self._canaries} else DEFAULT_DOMAIN
        canary, share = self._canaries.get(home), policy.rules_of(home).rollout.canary_share
        if canary is not None and self._engine.is_loaded(canary) and share_of(person_id, canary) < share:
            return Chosen(canary, "canary")
        return Chosen(self.answers(home), "serving")

    def shadow(self, domain: str) -> tuple[str, str] | None:
        """Return the adapter in shadow that is asked what is asked in a domain, and its domain; None: there is none."""
        home = domain if domain in {*self._own, *self._canaries, *self._shadows} else DEFAULT_DOMAIN
        digest = self._shadows.get(home)
        return (digest, home) if digest is not None else None

    def answering(self, session: Session) -> Adapter | None:
        """Return the adapter that answers now, not the one that should when that was refused; None: the base model."""
        digest = self._engine.serving
        return session.get(Adapter, digest) if digest else None

    def _sync(self) -> None:
        with self._database.read() as session:
            adapters = list_adapters(session, "serving", "canary", "approved")
            pinned = {pin.adapter_digest for pin in list_pins(session, self._now()) if pin.adapter_digest is not None}
        digests = {adapter.digest for adapter in adapters} | pinned
        self.refusals = {digest: refusal for digest, refusal in self.refusals.items() if digest in digests}
        self.wanted = {adapter.domain: adapter.digest for adapter in adapters if adapter.state == "serving"}
        canaries = {adapter.domain: adapter.digest for adapter in adapters if adapter.state == "canary"}
        in_shadow = (adapter for adapter in adapters if adapter.state == "approved" and adapter.shadow_since)
        shadows = {adapter.domain: adapter.digest for adapter in in_shadow}
        self._canaries = {domain: digest for domain, digest in canaries.items() if self._load(digest)}
        self._shadows = {domain: digest for domain, digest in shadows.items() if self._load(digest)}
        before, named = self._own, {**self.wanted}
        wanted = named.pop(DEFAULT_DOMAIN, None)
        own = {domain: digest if self._load(digest) else before.get(domain) for domain, digest in named.items()}
        self._own = {domain: digest for domain, digest in own.items() if digest is not None}
        if wanted != self._engine.serving and (wanted is None or self._load(wanted)):
            self._engine.serve(wanted)
            log.info("serving %s", wanted[:12] if wanted else "the base model")
        self._follow_pins(pinned)

    def _follow_pins(self, pinned: set[str]) -> None:
        """Have what is pinned in memory; what is not there is tried now and then, or many would push each other out."""
        self._pin_again_at = {digest: at for digest, at in self._pin_again_at.items() if digest in pinned}
        for digest in sorted(pinned):
            if self._engine.is_loaded(digest) or self._clock() >= self._pin_again_at.get(digest, 0.0):
                self._pin_again_at[digest] = self._clock() + RETRY_S
                self._load(digest)

    def _load(self, digest: str) -> bool:
        """Have an adapter in memory, anew where others took its room; return whether it is there."""
        before = self.refusals.get(digest)
        if self._engine.is_loaded(digest):
            return True
        if before is not None and self._clock() < before.retry_at:
            return False
        try:
            self._engine.load_adapter(digest, self._store.verify(digest))
        except Exception as error:
            if before is None or before.why != str(error):  # the log is told once, not at every try
                log.exception("adapter %s cannot be served; what answered before goes on answering", digest)
            self.refusals[digest] = Refusal(digest, str(error), self._clock() + RETRY_S)
            return False
        self.refusals.pop(digest, None)
        return True


def share_of(person_id: str, digest: str) -> float:
    """Return where a person falls between 0 and 1, evenly among people and anew for each canary."""
    hashed = hashlib.sha256(f"{digest}/{person_id}".encode()).digest()
    return int.from_bytes(hashed[:8]) / 2**64
