"""Takes jobs from the inbox and does them: in order within a lane, several lanes at once, each job once.

A job that fails for a passing reason (network, a busy database) is tried again; one that fails for good is given up
with a plain sentence to the person, whose reference number is the inbox row in which the detail is kept.
"""

import asyncio
import logging
from collections.abc import Callable
from weakref import WeakValueDictionary

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.exc import OperationalError

from bot.slack import jobs
from bot.slack.clients import Clients, NotInstalledError
from bot.slack.desks import Desks
from bot.slack.jobs import Job, Refusal, Stop, Uninstalled
from bot.slack.parts import SlackParts
from bot.slack.refusals import error_code, is_server_error
from storage import inbox
from storage.errors import DatabaseUnreachableError
from storage.inbox import MAX_ATTEMPTS, InboxEvent

log = logging.getLogger(__name__)

AT_ONCE = 128
"""Jobs in hand at the same time: more than the engine's batch, so that whoever asks hears how long the queue is."""
URGENT = (Stop.kind, Refusal.kind)
"""What is done however much is in hand: it is about the very jobs that are, or short."""
LOOK_AGAIN_S = 2.0
"""How long the worker sleeps at most; it is woken at once by what this process stores."""
RETRY_AFTER_S = 1.0
PASSING_SLACK_ERRORS = {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}


class InboxWorker:
    """Does what the listeners stored. One runs for each database: the process that holds the lease."""

    def __init__(self, parts: SlackParts, clients: Clients, *, retry_after_s: float = RETRY_AFTER_S) -> None:
        self._parts = parts
        self._clients = clients
        self._retry_after_s = retry_after_s
        self._of_workspace: dict[AsyncWebClient, Desks] = {}
        self._lanes: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._in_hand = 0

    async def run(self) -> None:
        """Work until cancelled. Call `storage.inbox.requeue_unfinished` first, to take up what a dead process began."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                event = await self._next_event()
                self._in_hand += 1
                # The lane's lock is asked for in the order in which events are claimed, and is fair: order is kept.
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
            try:
                await asyncio.wait_for(self._parts.arrived.wait(), LOOK_AGAIN_S)
            except TimeoutError:
                continue

    async def _handle(self, event: InboxEvent) -> None:
        try:
            job = jobs.from_payload(event.kind, event.payload)
            async with self._lanes.setdefault(job.lane, asyncio.Lock()):
                await self._try(event, job)
        except Exception:
            log.exception("inbox event %s could not be closed; it is taken up again at the next start", event.id)
        finally:
            self._in_hand -= 1
            self._parts.arrived.set()

    async def _try(self, event: InboxEvent, job: Job) -> None:
        while event.attempts <= MAX_ATTEMPTS:
            try:
                await (await self._desks(job)).do(job, event)
            except NotInstalledError as error:  # nobody is left to be told
                event.error = str(error)
                await self._close(self._fail, event)
                return
            except Exception as error:
                log.exception("inbox event %s (%s) failed at attempt %s", event.id, event.kind, event.attempts)
                if isinstance(error, OperationalError) and await self._database_was_away():
                    continue  # not the job's fault: no attempt is counted
                event.error = f"{type(error).__name__}: {error}"
                if event.attempts == MAX_ATTEMPTS or not is_passing(error):
                    break
                await asyncio.sleep(self._retry_after_s * event.attempts)
                event.attempts += 1
            else:
                await self._close(self._finish, event)
                return
        await self._give_up(event, job)

    async def _desks(self, job: Job) -> Desks:
        if isinstance(job, Uninstalled):
            return self._desks_of(self._clients.home)
        return self._desks_of(await self._clients.of(getattr(job, "team", "")))

    def _desks_of(self, client: AsyncWebClient) -> Desks:
        return self._of_workspace.setdefault(client, Desks(self._parts, client))

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

    async def _give_up(self, event: InboxEvent, job: Job) -> None:
        await self._close(self._fail, event)
        sentence = (
            f"Sorry, that did not work this time. Please try again in a moment; if it goes on, give your administrator "
            f"the reference number {event.id}."
        )
        try:
            await (await self._desks(job)).apologise(job, sentence)
        except (SlackClientError, NotInstalledError, aiohttp.ClientError, TimeoutError):
            log.exception("could not tell anybody that inbox event %s failed", event.id)

    def _finish(self, event: InboxEvent) -> None:
        with self._parts.database.transaction() as session:
            inbox.finish(session, event, self._parts.clock())

    def _fail(self, event: InboxEvent) -> None:
        event.attempts = MAX_ATTEMPTS  # for good: `fail` would put it back while tries are left
        with self._parts.database.transaction() as session:
            inbox.fail(session, event, event.error or "its process died each time", self._parts.clock())


def is_passing(error: Exception) -> bool:
    """Whether the same thing may work if it is tried again."""
    if isinstance(error, SlackApiError):
        return is_server_error(error) or error_code(error) in PASSING_SLACK_ERRORS
    return isinstance(error, (aiohttp.ClientError, TimeoutError, ConnectionError, OperationalError))
