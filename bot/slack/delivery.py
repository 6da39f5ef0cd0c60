"""Makes the calls that are owed to Slack: in order within a lane, several lanes at once, each until Slack has it.

A call of which no answer came, because of a kill, a timeout or a broken connection, may have been made. A message that
may have been posted is looked for before it is posted again, by the mark that it carries; where the app may not read
the channel, it is posted again. The other calls are harmless twice, but for messages that only one person sees, of
which Slack says nothing: these come at least once.
"""

import asyncio
import logging
import random
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.exc import OperationalError

from bot.slack.clients import Clients
from bot.slack.outbox import POST
from bot.slack.parts import SlackParts
from bot.slack.posting import Subject, find_posted
from bot.slack.refusals import Trouble, error_code, is_passing, trouble_of
from storage import outbox
from storage.outbox import Claim, OutboxCall

log = logging.getLogger(__name__)

AT_ONCE = 8
"""Calls in hand at the same time; Slack's limits are a few calls a second in all."""
LOOK_AGAIN_S = 2.0
"""How long the deliverer sleeps at most; it is woken at once by what this process owes."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
GIVE_UP_AFTER = timedelta(hours=24)
"""Slack's longest outages lasted hours; what is older than a day would only surprise whoever reads it."""
MARK = "apprentice_outbox"
"""The type of the metadata by which a posted message is found again."""
DONE_ALREADY = {
    ("chat.delete", "message_not_found"),
    ("reactions.add", "already_reacted"),
    ("reactions.remove", "no_reaction"),
}
"""Refusals that say that what was asked for is so."""


class Deliverer:
    """Makes the calls in the outbox. One runs for each database: in the process that holds the lease."""

    def __init__(
        self,
        parts: SlackParts,
        clients: Clients,
        *,
        first_pause_s: float = FIRST_PAUSE_S,
        look_again_s: float = LOOK_AGAIN_S,
    ) -> None:
        self._parts = parts
        self._clients = clients
        self._first_pause_s = first_pause_s
        self._look_again_s = look_again_s
        self._in_hand: set[int] = set()
        self._resting: dict[tuple[str, str], datetime] = {}
        self._free = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Deliver until cancelled; what was begun then is in doubt, and the next deliverer finds out."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._free.acquire()
                claim = await self._next_claim()
                tasks.create_task(self._deliver(claim))

    async def _next_claim(self) -> Claim:
        while True:
            self._parts.owed.clear()
            now = self._parts.clock()
            self._resting = {method: until for method, until in self._resting.items() if until > now}
            in_hand, resting = tuple(self._in_hand), tuple(self._resting)
            try:
                claim = await asyncio.to_thread(outbox.claim_next, self._parts.database, now, in_hand, resting)
            except OperationalError:
                log.exception("the outbox cannot be read; trying again")
                claim = None
            if claim is not None:
                self._in_hand.add(_id(claim.call))
                return claim
            with suppress(TimeoutError):  # not `wait_for`, which in Python 3.11 may swallow that we are cancelled
                async with asyncio.timeout(self._look_again_s):
                    await self._parts.owed.wait()

    async def _deliver(self, claim: Claim) -> None:
        call = claim.call
        try:
            came_of_it = await self._attempt(claim)
            await asyncio.to_thread(self._note, call, came_of_it)
        except Exception:
            log.exception("what came of outbox call %s could not be noted; it is in doubt", call.id)
            await asyncio.sleep(self._look_again_s)
        finally:
            self._in_hand.discard(_id(call))
            self._free.release()
            self._parts.owed.set()  # the next of its lane may be made

    async def _attempt(self, claim: Claim) -> str | Trouble:
        """Make a call, unless it turns out to be made; return the ts of what was posted, or what went wrong."""
        call, in_doubt = claim.call, claim.in_doubt and claim.call.method == POST
        try:
            client = _without_retries(await self._clients.of(call.team))
            if in_doubt and (posted := await _find_posted(client, call)):
                return posted
            in_doubt = False
            answer = await client.api_call(call.method, json=_marked(call))
        except Exception as error:  # noqa: BLE001 - a call that cannot be made must not hold up the others
            return replace(trouble_of(error), in_doubt=True) if in_doubt else self._judge(call, error)
        return str(answer.get("ts") or answer.get("message_ts") or "")

    def _judge(self, call: OutboxCall, error: Exception) -> str | Trouble:
        if isinstance(error, SlackApiError) and (call.method, error_code(error)) in DONE_ALREADY:
            return ""
        trouble = trouble_of(error)
        if trouble.rest_s is not None:
            until = self._parts.clock() + timedelta(seconds=trouble.rest_s)
            self._resting[call.team, call.method] = until
        return trouble

    def _note(self, call: OutboxCall, came_of_it: str | Trouble) -> None:
        now = self._parts.clock()
        with self._parts.database.transaction() as session:
            if isinstance(came_of_it, str):
                outbox.note_sent(session, call, came_of_it, now)
            elif came_of_it.passing and now < call.created_at + GIVE_UP_AFTER:
                log.info("outbox call %s (%s) is tried again: %s", call.id, call.method, came_of_it.why)
                until = now + timedelta(seconds=self._pause(call, came_of_it))
                outbox.postpone(session, call, came_of_it.why, until, in_doubt=came_of_it.in_doubt)
            else:
                log.warning("outbox call %s (%s) is given up: %s", call.id, call.method, came_of_it.why)
                outbox.note_failed(session, call, came_of_it.why)

    def _pause(self, call: OutboxCall, trouble: Trouble) -> float:
        """Return the seconds until the next attempt: what Slack asks for, else twice as long each time, with jitter."""
        if trouble.rest_s is not None:
            return trouble.rest_s
        longest: float = min(self._first_pause_s * 2 ** min(call.attempts - 1, 20), LONGEST_PAUSE_S)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - so that many do not come back at once; no secret


async def _find_posted(client: AsyncWebClient, call: OutboxCall) -> str | None:
    """Return the ts of the message, if it was posted all the same; None also where the app may not look."""
    try:
        return await find_posted(client, call.arguments["channel"], _subject(call), call.arguments.get("thread_ts"))
    except SlackApiError as error:
        if is_passing(error):
            raise
        log.warning("outbox call %s may be posted twice, its channel cannot be read: %s", call.id, error_code(error))
        return None


def _marked(call: OutboxCall) -> dict[str, Any]:
    return {**call.arguments, "metadata": _subject(call).metadata} if call.method == POST else call.arguments


def _subject(call: OutboxCall) -> Subject:
    """Name what no other message stands for; ids alone begin again in a new database."""
    return Subject(MARK, f"{call.id}/{call.created_at.isoformat()}", call.created_at)


def _id(call: OutboxCall) -> int:
    assert call.id is not None
    return call.id


def _without_retries(client: AsyncWebClient) -> AsyncWebClient:
    """Return the client as one that makes each call once; a retry of its own would not look first."""
    return AsyncWebClient(
        token=client.token, base_url=client.base_url, timeout=client.timeout, ssl=client.ssl, proxy=client.proxy,
        retry_handlers=[],
    )  # fmt: skip
