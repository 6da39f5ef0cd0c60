"""Takes jobs from the inbox and does them: in order within a lane, several lanes at once, each job once.

A job that fails for a passing reason (network, a busy database) is tried again; one that fails for good is given up
with a plain sentence to the person, whose reference number is the inbox row in which the detail is kept.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.exc import OperationalError

from bot.slack import jobs
from bot.slack.clients import Clients
from bot.slack.desks import Desks, apology
from bot.slack.jobs import Job, Refusal, Stop, Uninstalled
from bot.slack.parts import SlackParts
from bot.slack.refusals import is_passing
from storage import inbox, outbox
from storage.errors import DatabaseUnreachableError
from storage.inbox import MAX_ATTEMPTS, InboxEvent
from storage.outbox import OutboxCall

log = logging.getLogger(__name__)

AT_ONCE = 128
"""Jobs in hand at the same time: more than the engine's batch, so that whoever asks hears how long the queue is."""
URGENT = (Stop.kind, Refusal.kind)
"""What is done however much is in hand: it is about the very jobs that are, or short."""
LOOK_AGAIN_S = 2.0
"""How long the worker sleeps at most; it is woken at once by what this process stores."""
RETRY_AFTER_S, LONGEST_PAUSE_S = 1.0, 60.0
PATIENCE_S = 900.0
"""How long a passing trouble is waited out. Who has no answer after a quarter of an hour would rather be told."""


class InboxWorker:
    """Does what the listeners stored. One runs for each database: the process that holds the lease."""

    def __init__(
        self,
        parts: SlackParts,
        clients: Clients,
        *,
        retry_after_s: float = RETRY_AFTER_S,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._parts = parts
        self._clients = clients
        self._retry_after_s = retry_after_s
        self._patience_s = patience_s
        self._of_workspace: dict[AsyncWebClient, Desks] = {}
        self._in_hand = 0

    async def run(self) -> None:
        """Work until cancelled. Call `storage.inbox.requeue_unfinished` first, to take up what a dead process began."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                event = await self._next_event()
                self._in_hand += 1
                tasks.create_task(self._handle(event))

    async def _next_event(self) -> InboxEvent:
        while True:
            self._parts.arrived.clear()
            try:
                kinds = None if self._in_hand < AT_ONCE else URGENT
                event = await asyncio.to_thread(inbox.claim_next, self._parts.database, kinds)
            except OperationalError:
                log.exception("the inbox cannot be read; trying again")
                event = None
            if event is not None:
                return event
            with suppress(TimeoutError):  # not `wait_for`, which in Python 3.11 may swallow that we are cancelled
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self._parts.arrived.wait()

    async def _handle(self, event: InboxEvent) -> None:
        try:
            if await self._do(event):
                await self._close(self._finish, event)
            else:
                await self._close(self._give_up, event)
                self._parts.owed.set()
        except Exception:
            log.exception("inbox event %s could not be closed; it is taken up again at the next start", event.id)
        finally:
            self._in_hand -= 1
            self._parts.arrived.set()  # the next one of its lane may be claimed

    async def _do(self, event: InboxEvent) -> bool:
        """Try until the job is done, and return True; False when trying is of no use, and `event.error` says why."""
        if event.attempts > MAX_ATTEMPTS:
            event.error = event.error or "its process died each time"
            return False
        pause, patience_ends = self._retry_after_s, time.monotonic() + self._patience_s
        while True:
            try:
                job = jobs.from_payload(event.kind, event.payload)  # each time: a try notes there what it has begun
                await self._desks(job, await self._client(job)).do(job, event)
            except Exception as error:
                log.exception("inbox event %s (%s) failed at attempt %s", event.id, event.kind, event.attempts)
                event.attempts += 1
                if isinstance(error, OperationalError) and await self._database_was_away():
                    continue
                event.error = f"{type(error).__name__}: {error}"
                if not is_passing(error) or time.monotonic() > patience_ends:
                    return False
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_S)
            else:
                return True

    async def _client(self, job: Job) -> AsyncWebClient:
        if isinstance(job, Uninstalled):
            return self._clients.home
        return await self._clients.of(getattr(job, "team", ""))

    def _desks(self, job: Job, client: AsyncWebClient) -> Desks:
        if client not in self._of_workspace:
            self._of_workspace[client] = Desks(self._parts, client, getattr(job, "team", ""))
        return self._of_workspace[client]

    async def _close(self, close: Callable[[InboxEvent], None], event: InboxEvent) -> None:
        """Note how an event ended, when the database can be reached: until then it would count as begun."""
        while True:
            try:
                return await asyncio.to_thread(close, event)
            except OperationalError:
                if not await self._database_was_away():
                    raise

    async def _database_was_away(self) -> bool:
        """Wait until the database answers; return whether there was anything to wait for."""
        away = False
        while True:
            try:
                await asyncio.to_thread(self._parts.database.check_connection)
            except DatabaseUnreachableError:
                away = True
                await asyncio.sleep(self._retry_after_s)
            else:
                return away

    def _finish(self, event: InboxEvent) -> None:
        with self._parts.database.transaction() as session:
            inbox.finish(session, event, self._parts.clock())

    def _give_up(self, event: InboxEvent) -> None:
        told = self._apology(event)
        with self._parts.database.transaction() as session:
            inbox.fail(session, event, event.error, self._parts.clock())
            if told is not None:
                outbox.owe(session, told)

    def _apology(self, event: InboxEvent) -> OutboxCall | None:
        sentence = (
            f"Sorry, that did not work this time. Please try again in a moment; if it goes on, give your administrator "
            f"the reference number {event.id}."
        )
        try:
            return apology(self._parts, jobs.from_payload(event.kind, event.payload), sentence)
        except Exception:  # an event of another version, for example; it must not hold up its lane
            log.exception("nobody is told that inbox event %s failed", event.id)
            return None
