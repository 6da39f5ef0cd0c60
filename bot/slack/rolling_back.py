"""Rollbacks in Slack: those that somebody asks for, and what the approvers' channel hears of each, whoever made it."""

import asyncio
from datetime import timedelta

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.intake import store_job
from bot.slack.jobs import TakenOut
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.posting import find_channel
from bot.slack.proposals import announce, keep_one_message, show_proposal, where
from bot.slack.rollback_blocks import rollback_text
from bot.slack.rollback_jobs import RollbackRequest
from storage import inbox
from storage.adapters import find_adapter
from storage.errors import ApprenticeError
from storage.people import names_of
from storage.proposals import Proposal, get_proposal, proposal_for
from storage.rollbacks import get_rollback, rollbacks_since

TOLD_FOR = timedelta(days=7)
"""A rollback that is older, from before a long outage, is no news."""


class RollbackDesk:
    """Takes adapters out, and tells of it in the thread of the proposal by which the adapter had gone live."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def roll_back(self, job: RollbackRequest) -> None:
        """Take the proposal's adapter out through governance; who may not, or comes too late, is told so alone."""
        person = await self._directory.person(job.team, job.user)
        reply = await asyncio.to_thread(self._roll_back, job, person)
        await self._parts.serving.sync()
        await note_rollbacks(self._parts)
        await keep_one_message(self._client, self._parts, job.proposal_id, job.channel, job.message_ts)
        await show_proposal(self._client, self._parts, job.proposal_id)
        if reply:
            await self._outbox.whisper(f"{job.key}/reply", job.channel, job.user, blocks.escape(reply))

    def _roll_back(self, job: RollbackRequest, person: str) -> str:
        """Return what only this person is told; empty when the channel sees it all."""
        rules = self._parts.governance
        with self._parts.database.read() as session:
            digest = get_proposal(session, job.proposal_id).adapter_digest
        try:
            rules.rollback(person, job.reason, adapter_digest=digest)
        except ApprenticeError as error:
            return str(error)
        return ""

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


async def note_rollbacks(parts: SlackParts) -> None:
    """Have each rollback told, once, whoever made it."""
    for rollback_id in await asyncio.to_thread(_lately, parts):
        await store_job(parts, TakenOut(rollback_id))


def _lately(parts: SlackParts) -> list[str]:
    with parts.database.read() as session:
        lately = rollbacks_since(session, parts.clock() - TOLD_FOR)
        return [each.id for each in lately if inbox.find_event(session, TakenOut(each.id).key) is None]
