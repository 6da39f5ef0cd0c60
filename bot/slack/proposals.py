"""The message that asks for approval in Slack: posted once, and drawn again whenever it no longer says what is so.

It is made from the database and the stored report alone, so it can be drawn again at any time and says the same
wherever a decision came from.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.deciding import said_by, who_decides
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.posting import Said, Subject, keep_one, show_decidable
from bot.slack.rollback_blocks import taken_out
from governance.approvals import Ballot, Electorate
from governance.gates import GateResult
from governance.voting import electorate_of
from learning.evaluation import Change, read_report
from storage.adapters import LIVE, Adapter, find_adapter
from storage.domains import DEFAULT_DOMAIN
from storage.errors import ApprenticeError
from storage.people import names_of
from storage.proposals import Decision, Proposal, decisions_on, get_proposal, note_shown, stands_at
from storage.rollbacks import Rollback, rollback_of

log = logging.getLogger(__name__)

METADATA = "apprentice_proposal"
"""The type of the metadata by which a message that was posted, but not noted, is found again."""


@dataclass(frozen=True)
class Shown:
    """What the proposal's message shows, read at one moment; `names` has those of all whom it may name."""

    proposal: Proposal
    adapter: Adapter
    decisions: list[Decision]
    electorate: Electorate
    rollback: Rollback | None
    names: dict[str, str]


async def show_proposal(client: AsyncWebClient, parts: SlackParts, proposal_id: str) -> None:
    """Make Slack show a proposal as it is: post it in the approvers' channel, or bring its message up to date.

    Does nothing when the message says already what is so, or when the proposal was closed before it was ever posted.

    Raises:
        ConfigurationError: the bot sees no channel of that name.

    """
    async with parts.drawing:  # two at once could leave the older drawing on top
        shown = await asyncio.to_thread(_read, parts, proposal_id)
        proposal = shown.proposal
        await show_decidable(
            client,
            parts,
            proposal,
            (proposal.shown_state, proposal.shown_decisions),
            partial(Subject, METADATA, proposal.id, proposal.created_at),
            (stands_at(proposal, shown.adapter), len(shown.decisions)),
            partial(_draw, parts, shown),
            partial(_note, parts, proposal_id),
            waits=proposal.state == "open",
        )


async def keep_one_message(client: AsyncWebClient, parts: SlackParts, proposal_id: str, channel: str, ts: str) -> None:
    """Take note of a message whose button was pressed, or remove it when another one is noted."""
    async with parts.drawing:
        noted = (await asyncio.to_thread(_read, parts, proposal_id)).proposal.message_ts
        await keep_one(client, noted, channel, ts, partial(_note, parts, proposal_id))


def _note(parts: SlackParts, proposal_id: str, channel: str, ts: str, said: Said) -> None:
    with parts.database.transaction() as session:
        note_shown(session, proposal_id, channel, ts, *said)


def _read(parts: SlackParts, proposal_id: str) -> Shown:
    with parts.database.read() as session:
        proposal = get_proposal(session, proposal_id)
        decisions = decisions_on(session, proposal_id)
        adapter = find_adapter(session, proposal.adapter_digest)
        rules = parts.governance.policy.rules_of(adapter.domain)
        electorate = electorate_of(session, rules, proposal, parts.governance.clock())
        rollback = rollback_of(session, adapter.digest)
        people = [person for each in decisions for person in each.people] + ([rollback.actor] if rollback else [])
        names = names_of(session, [*electorate.excluded, *people])
        return Shown(proposal, adapter, decisions, electorate, rollback, names)


def _draw(parts: SlackParts, shown: Shown) -> tuple[str, blocks.Blocks]:
    """Return the message's fallback text and its blocks."""
    proposal = shown.proposal
    is_open = proposal.state == "open"
    approval = parts.governance.policy.rules_of(shown.adapter.domain).approval
    missing = Ballot.of(shown.decisions, approval).missing
    rules = [who_decides(approval, missing, shown.electorate, shown.names)] if is_open else []
    details = [f"It would answer{place}."] if (place := where(shown.adapter)) else []
    report = f"<{parts.settings.web.address}/reports/{proposal.report_digest}|The whole report of its evaluation>"
    content = blocks.proposal_message(
        adapter=proposal.adapter_digest,
        gates=[GateResult(**gate) for gate in shown.adapter.gates],
        changes=_changes(parts, proposal.report_digest),
        status=_status(shown),
        decidable=is_open,
        proposal_id=proposal.id,
        details=[*details, *rules, *([report] if proposal.report_digest else [])],
        live=shown.adapter.state in LIVE,
    )
    return f"Adapter {proposal.adapter_digest[:12]}: the proposal is {proposal.state}.", content


def _status(shown: Shown) -> str:
    """Say what was decided by whom, and what became of the proposal where that does not follow from it."""
    proposal = shown.proposal
    lines = [blocks.escape(said_by(decision, shown.names)) for decision in shown.decisions]
    if proposal.state == "open":
        lines = lines or ["Nobody has decided yet."]
        lines.append(f"Open until {blocks.moment(proposal.expires_at)}.")
    elif not lines or proposal.state in {"expired", "void"}:
        lines.append(f"It is {proposal.state}.")
    if shown.rollback:
        lines.append(taken_out(shown.rollback, shown.names))
    elif shown.adapter.state == "retired":
        lines.append("A newer one took its place.")
    return " ".join(lines)


async def announce(outbox: Outbox, key: str, proposal: Proposal, text: str) -> None:
    """Owe the approvers news of a proposal, in its thread and in the channel; of one that no message shows, none."""
    if proposal.message_ts:
        await outbox.post(key, proposal.channel, text, proposal.message_ts, reply_broadcast=True)


def where(adapter: Adapter) -> str:
    """Say where an adapter answers, to be put behind whom or what: nothing of the default domain's."""
    return "" if adapter.domain == DEFAULT_DOMAIN else f" in channels about {blocks.escape(adapter.domain)}"


def _changes(parts: SlackParts, report_digest: str) -> Sequence[Change]:
    """Read from the stored report which answers change; a proposal can be decided without, and the log says why."""
    try:
        return read_report(parts.store.verify(report_digest)).changes
    except ApprenticeError:
        log.exception("report %s cannot be shown", report_digest)
        return []
