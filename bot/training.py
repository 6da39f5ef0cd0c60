"""Training while the bot runs: one run at a time, in a thread of its own, for the clock, a person or a restart."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.assembly import Parts
from learning.base_model import BaseModel
from learning.engine import Engine
from learning.erasure import must_train_again
from learning.pipeline import Pipeline, PipelineResult, RunEvent
from learning.scheduler import new_corrections
from storage.domains import DEFAULT_DOMAIN
from storage.errors import AlreadyRunningError, ApprenticeError
from storage.pauses import current_pause

log = logging.getLogger(__name__)

OnEvent = Callable[[RunEvent], None]
SCHEDULE = "schedule"
"""Who started the runs that nobody asked for."""


@dataclass
class Training:
    """Runs the pipeline. `listeners` are called with each event of a run, from the thread that trains."""

    parts: Parts
    engine: Engine
    base: BaseModel
    listeners: list[OnEvent] = field(default_factory=list)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _pipeline: Pipeline | None = None
    _asked_for: asyncio.Task[None] | None = None

    async def train(self, started_by: str, domain: str = DEFAULT_DOMAIN) -> PipelineResult:
        """Run the pipeline to its end, for an adapter of this domain; a second call waits for the first."""
        async with self._turn:
            parts = self.parts
            self._pipeline = Pipeline(
                parts.settings, parts.database, parts.store, parts.governance, self.engine, self.base
            )
            try:
                return await asyncio.to_thread(self._pipeline.run, started_by, self._tell, domain)
            finally:
                self._pipeline = None

    async def begin(self, started_by: str, domain: str = DEFAULT_DOMAIN) -> str:
        """Start a run, or go on with one that was interrupted; return its id as soon as it trains.

        Raises:
            AlreadyRunningError: this process trains already.
            ApprenticeError: the run could not begin.

        """
        if self._turn.locked() or (self._asked_for is not None and not self._asked_for.done()):
            raise AlreadyRunningError("a training run is under way already.")
        begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked_for = asyncio.create_task(self._train_telling(started_by, domain, begun))
        return await asyncio.shield(begun)

    async def train_if_due(self) -> None:
        """Train each domain in which enough is new, or somebody was erased, unless somebody paused training.

        What goes wrong is logged.
        """
        if self._turn.locked():
            return
        if await asyncio.to_thread(self._is_paused):
            log.info("training was due, but it is paused")
            return
        policy = self.parts.governance.policy
        for domain in (DEFAULT_DOMAIN, *policy.domains):
            fresh = await asyncio.to_thread(new_corrections, self.parts.database, policy.labels_of(domain))
            if fresh >= self.parts.settings.training.min_new_corrections or await self._must_train_again(domain):
                await self.train_logged(SCHEDULE, domain)

    async def train_logged(self, started_by: str, domain: str = DEFAULT_DOMAIN) -> None:
        """Train, with errors to the log; those of a run are kept with it too."""
        try:
            await self.train(started_by, domain)
        except ApprenticeError as error:
            log.warning("training: %s", error)
        except Exception:
            log.exception("training failed")

    def interrupt(self) -> None:
        """Ask a run that is under way to stop where it can be resumed."""
        if self._pipeline is not None:
            self._pipeline.interrupt()

    async def _train_telling(self, started_by: str, domain: str, begun: "asyncio.Future[str]") -> None:
        """Train, and set `begun` to the run's id once it trains, or to what kept it from that."""
        loop = asyncio.get_running_loop()

        def settle(run_id: str) -> None:
            if not begun.done():
                begun.set_result(run_id)

        def hear(event: RunEvent) -> None:
            loop.call_soon_threadsafe(settle, event.run_id)

        self.listeners.append(hear)
        try:
            settle((await self.train(started_by, domain)).run.id)
        except Exception as error:
            if begun.done():
                log.warning("training: %s", error, exc_info=not isinstance(error, ApprenticeError))
            else:
                begun.set_exception(error)
        finally:
            self.listeners.remove(hear)

    def _tell(self, event: RunEvent) -> None:
        for listener in tuple(self.listeners):
            listener(event)

    async def _must_train_again(self, domain: str) -> bool:
        return await asyncio.to_thread(must_train_again, self.parts.database, self.parts.store, domain)

    def _is_paused(self) -> bool:
        with self.parts.database.read() as session:
            return current_pause(session, self.parts.governance.clock()) is not None
