"""Approvals in Slack: the decisions that people take on a proposal's message, and what came of them."""

import asyncio
import logging

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.intake import store_job
from bot.slack.jobs import Decision, News, Promotion
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.proposals import announce, keep_one_message, show_proposal, where
from bot.slack.stages import note_stages
from storage.adapters import Adapter, find_adapter
from storage.errors import ApprenticeError
from storage.proposals import Proposal, get_proposal

log = logging.getLogger(__name__)


class Approvals:
    """Takes the decisions that people make on a proposal's message."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def decide(self, job: Decision) -> None:
        """Decide through governance; who may not, or comes too late, is told so, and nobody else."""
        person = await self._directory.person(job.team, job.user)
        reply = await self._decide(job, person)
        await keep_one_message(self._client, self._parts, job.proposal_id, job.channel, job.message_ts)
        await show_proposal(self._client, self._parts, job.proposal_id)
        if reply:
            await self._outbox.whisper(f"{job.key}/reply", job.channel, job.user, blocks.escape(reply))

    def _read(self, proposal_id: str) -> tuple[Proposal, Adapter]:
        with self._parts.database.read() as session:
            proposal = get_proposal(session, proposal_id)
            return proposal, find_adapter(session, proposal.adapter_digest)

    async def _decide(self, job: Decision, person: str) -> str:
        """Return what only this person is told; empty when the channel sees it all."""
        try:
            outcome = await asyncio.to_thread(
                self._parts.governance.decide, job.proposal_id, person, job.verdict, job.reason
            )
        except ApprenticeError as error:
            return str(error)
        if outcome.promoted:
            await note_promotion(self._parts, job.proposal_id)
        elif outcome.proposal.state == "approved":
            await note_stages(self._parts)
        return outcome.message if outcome.proposal.state == "open" else ""

    async def announce(self, job: Promotion) -> None:
        """Let the promoted adapter answer, tell the approvers' channel, and have those told who taught it.

        Whether it does answer is looked at, not assumed: its files may be damaged, or another decision came in between.
        """
        serving = self._parts.serving
        await serving.sync()
        await show_proposal(self._client, self._parts, job.proposal_id)
        proposal, adapter = await asyncio.to_thread(self._read, job.proposal_id)
        answers, key = serving.answers(adapter.domain), f"{job.key}/announcement"
        refused = serving.refusals.get(proposal.adapter_digest)
        if answers == proposal.adapter_digest:
            for contributor in proposal.shares:
                await store_job(self._parts, News(job.proposal_id, contributor))
            text = f"Adapter `{answers[:12]}` answers{where(adapter)} from now on."
            await announce(self._outbox, key, proposal, text)
        elif refused is not None:
            instead = f"adapter `{answers[:12]}`" if answers else "the base model"
            await announce(
                self._outbox,
                key,
                proposal,
                f"Adapter `{refused.digest[:12]}` was approved but cannot be loaded, so {instead} goes on answering. "
                f"{blocks.escape(refused.why)}",
            )


async def note_promotion(parts: SlackParts, proposal_id: str) -> None:
    """Have a promotion announced, once, whoever notes it and however often; also for decisions made outside Slack."""
    await store_job(parts, Promotion(proposal_id))
