"""Approvals in Slack: the message that asks for one, the decisions that people take, and what came of them.

The message is made from the database and the stored report alone, so it can be drawn again at any time and says the
same wherever a decision came from.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.intake import store_job
from bot.slack.jobs import Decision, News, Promotion
from bot.slack.parts import SlackParts
from bot.slack.whisper import whisper
from governance.gates import GateResult
from learning.evaluation import Change, read_report
from storage.adapters import Adapter, find_adapter
from storage.errors import ApprenticeError, ConfigurationError
from storage.people import names_of
from storage.proposals import Proposal, decisions_on, get_proposal

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shown:
    """What the proposal's message shows, read at one moment."""

    proposal: Proposal
    adapter: Adapter
    decided: list[str]


async def post_proposal(client: AsyncWebClient, parts: SlackParts, proposal_id: str) -> None:
    """Ask for approval in the approvers' channel; does nothing when that was done already.

    Raises:
        ConfigurationError: the bot sees no channel of that name.

    """
    if (await asyncio.to_thread(_read, parts, proposal_id)).proposal.message_ts:
        return
    name = parts.settings.slack.approvers_channel
    channel = await Directory(client, parts.database, parts.clock).channel(name)
    if channel is None:
        raise ConfigurationError(
            f"there is no channel #{name} that the bot can see. Create it and invite the bot, "
            "or set slack.approvers_channel."
        )
    text, content = await asyncio.to_thread(_draw, parts, proposal_id)
    posted = await client.chat_postMessage(channel=channel, text=text, blocks=content)
    await asyncio.to_thread(parts.governance.attach_message, proposal_id, channel, str(posted["ts"]))


async def refresh_proposal(client: AsyncWebClient, parts: SlackParts, proposal_id: str) -> None:
    """Draw a proposal's message again, after a decision or an expiry."""
    proposal = await asyncio.to_thread(_read, parts, proposal_id)
    if proposal.proposal.message_ts:
        text, content = await asyncio.to_thread(_draw, parts, proposal_id)
        where = proposal.proposal
        await client.chat_update(channel=where.channel, ts=where.message_ts, text=text, blocks=content)


class Approvals:
    """Takes the decisions that people make on a proposal's message."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._directory = directory

    async def decide(self, job: Decision) -> None:
        """Decide through governance; who may not, or comes too late, is told so, and nobody else."""
        person = await self._directory.person(job.team, job.user)
        reply = await self._decide(job, person)
        await refresh_proposal(self._client, self._parts, job.proposal_id)
        if reply:
            await whisper(self._client, job.channel, job.user, blocks.escape(reply))

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
        return outcome.message if outcome.proposal.state == "open" else ""

    async def announce(self, job: Promotion) -> None:
        """Let the promoted adapter answer, tell the approvers' channel, and have those told who taught it.

        Whether it does answer is looked at, not assumed: its files may be damaged, or another decision came in between.
        """
        answers = await self._parts.serving.sync()
        await refresh_proposal(self._client, self._parts, job.proposal_id)
        proposal = (await asyncio.to_thread(_read, self._parts, job.proposal_id)).proposal
        refused = self._parts.serving.refused
        if answers == proposal.adapter_digest:
            for contributor in proposal.shares:
                await store_job(self._parts, News(job.proposal_id, contributor))
            await self._tell_approvers(proposal, f"Adapter `{answers[:12]}` answers from now on.")
        elif refused is not None and refused.digest == proposal.adapter_digest:
            instead = f"adapter `{answers[:12]}`" if answers else "the base model"
            await self._tell_approvers(
                proposal,
                f"Adapter `{refused.digest[:12]}` was approved but cannot be loaded, so {instead} goes on answering. "
                f"{blocks.escape(refused.why)}",
            )

    async def _tell_approvers(self, proposal: Proposal, text: str) -> None:
        if proposal.message_ts:
            await self._client.chat_postMessage(
                channel=proposal.channel, thread_ts=proposal.message_ts, reply_broadcast=True, text=text
            )


async def note_promotion(parts: SlackParts, proposal_id: str) -> None:
    """Have a promotion announced, once, whoever notes it and however often; also for decisions made outside Slack."""
    await store_job(parts, Promotion(proposal_id))


def _read(parts: SlackParts, proposal_id: str) -> Shown:
    with parts.database.read() as session:
        proposal = get_proposal(session, proposal_id)
        decisions = decisions_on(session, proposal_id)
        people = names_of(session, [decision.person_id for decision in decisions])
        decided = [
            f"{_VERBS[decision.verdict]} by {people.get(decision.person_id, decision.person_id)}"
            + (f": {decision.reason}" if decision.reason else "")
            for decision in decisions
        ]
        return Shown(proposal, find_adapter(session, proposal.adapter_digest), decided)


_VERBS = {"approve": "Approved", "reject": "Rejected"}


def _draw(parts: SlackParts, proposal_id: str) -> tuple[str, blocks.Blocks]:
    """Return the message's fallback text and its blocks."""
    shown = _read(parts, proposal_id)
    proposal = shown.proposal
    status = [f"It is {proposal.state}." if proposal.state != "open" else "Nobody has decided yet."] * (
        not shown.decided
    )
    status += [blocks.escape(line) + "." for line in shown.decided]
    if proposal.state == "open":
        status.append(f"Open until {proposal.expires_at:%Y-%m-%d %H:%M} UTC.")
    text = f"Adapter {proposal.adapter_digest[:12]}: the proposal is {proposal.state}."
    content = blocks.proposal_message(
        adapter=proposal.adapter_digest,
        gates=[GateResult(**gate) for gate in shown.adapter.gates],
        changes=_changes(parts, proposal.report_digest),
        status=" ".join(status),
        decidable=proposal.state == "open",
        proposal_id=proposal.id,
    )
    return text, content


def _changes(parts: SlackParts, report_digest: str) -> Sequence[Change]:
    """Read from the stored report which answers change; a proposal can be decided without, and the log says why."""
    try:
        return read_report(parts.store.verify(report_digest)).changes
    except ApprenticeError:
        log.exception("report %s cannot be shown", report_digest)
        return []
