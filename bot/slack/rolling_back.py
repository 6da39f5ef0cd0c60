"""What the approvers' channel hears of an adapter that was taken out: by whom, why, and what answers instead."""

import asyncio
from datetime import timedelta

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.intake import store_job
from bot.slack.jobs import TakenOut
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.posting import find_channel
from bot.slack.proposals import announce, where
from governance.ledger import SYSTEM
from governance.roles import OPERATOR
from storage import inbox
from storage.adapters import find_adapter
from storage.people import names_of
from storage.proposals import Proposal, proposal_for
from storage.rollbacks import Rollback, get_rollback, rollbacks_since

TOLD_FOR = timedelta(days=7)
"""A rollback that is older, from before a long outage, is no news."""


class RollbackDesk:
    """Tells of rollbacks, in the thread of the proposal by which the adapter had gone live."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox

    async def tell(self, job: TakenOut) -> None:
        """Let the engine follow, and tell the channel."""
        await self._parts.serving.sync()
        text, proposal = await asyncio.to_thread(self._read, job.rollback_id)
        key = f"{job.key}/announcement"
        if proposal is not None and proposal.message_ts:
            await announce(self._outbox, key, proposal, text)
            return
        channel = await find_channel(self._client, self._parts, "approvers_channel")
        await self._outbox.post(key, channel, text)

    def _read(self, rollback_id: str) -> tuple[str, Proposal | None]:
        with self._parts.database.read() as session:
            rollback = get_rollback(session, rollback_id)
            names = names_of(session, [rollback.actor])
            place = where(find_adapter(session, rollback.adapter_digest))
            return rollback_text(rollback, names, place), proposal_for(session, rollback.adapter_digest)


def rollback_text(rollback: Rollback, names: dict[str, str], place: str) -> str:
    """Say what happened, as mrkdwn; `names` has the actor's, if that is a person, `place` says where it answered."""
    restored = f"adapter `{rollback.restored_digest[:12]}`" if rollback.restored_digest else "the base model"
    actor = names.get(rollback.actor, rollback.actor.removeprefix(OPERATOR))
    how = "was taken out by the policy's rules" if rollback.actor == SYSTEM else f"was rolled back by {actor}"
    return (
        f"Adapter `{rollback.adapter_digest[:12]}` {blocks.escape(how)}; {restored} answers again{place}. "
        f"{blocks.escape(rollback.reason)}"
    )


async def note_rollbacks(parts: SlackParts) -> None:
    """Have each rollback told, once, whoever made it."""
    for rollback_id in await asyncio.to_thread(_lately, parts):
        await store_job(parts, TakenOut(rollback_id))


def _lately(parts: SlackParts) -> list[str]:
    with parts.database.read() as session:
        lately = rollbacks_since(session, parts.clock() - TOLD_FOR)
        return [each.id for each in lately if inbox.find_event(session, TakenOut(each.id).key) is None]
