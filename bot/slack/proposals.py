"""The message that asks for approval in Slack: posted once, and drawn again whenever it no longer says what is so.

It is made from the database and the stored report alone, so it can be drawn again at any time and says the same
wherever a decision came from.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.parts import SlackParts
from bot.slack.refusals import error_code
from governance.gates import GateResult
from learning.evaluation import Change, read_report
from storage.adapters import Adapter, find_adapter
from storage.errors import ApprenticeError, ConfigurationError
from storage.people import names_of
from storage.proposals import Proposal, decisions_on, get_proposal, note_shown

log = logging.getLogger(__name__)

Said = tuple[str | None, int | None]
"""The state and the number of decisions that a message tells of."""
METADATA = "apprentice_proposal"
"""The type of the metadata by which a message that was posted, but not noted, is found again."""
NOT_CHANGEABLE = {
    "cant_update_message",
    "channel_not_found",
    "edit_window_closed",
    "is_archived",
    "is_inactive",
    "message_not_found",
    "not_in_channel",
}
"""Slack's codes for a message that will not change any more, whatever is tried."""
UNKNOWN = (None, None)
"""What a message says of which only the place is known; it is drawn again."""
_VERBS = {"approve": "Approved", "reject": "Rejected"}


@dataclass(frozen=True)
class Shown:
    """What the proposal's message shows, read at one moment."""

    proposal: Proposal
    adapter: Adapter
    decided: list[str]


async def show_proposal(client: AsyncWebClient, parts: SlackParts, proposal_id: str) -> None:
    """Make Slack show a proposal as it is: post it in the approvers' channel, or bring its message up to date.

    Does nothing when the message says already what is so, or when the proposal was closed before it was ever posted.

    Raises:
        ConfigurationError: the bot sees no channel of that name.

    """
    async with parts.drawing:  # two at once could leave the older drawing on top
        shown = await asyncio.to_thread(_read, parts, proposal_id)
        proposal = shown.proposal
        if not proposal.message_ts and proposal.state == "open":
            await _post(client, parts, shown)
        elif proposal.message_ts and (proposal.shown_state, proposal.shown_decisions) != _said(shown):
            await _update(client, parts, shown)


async def keep_one_message(client: AsyncWebClient, parts: SlackParts, proposal_id: str, channel: str, ts: str) -> None:
    """Take note of a message whose button was pressed, or remove it when another one is noted.

    A process that dies between posting a message and noting it leaves one that nobody knows of, with working buttons.
    """
    async with parts.drawing:
        noted = (await asyncio.to_thread(_read, parts, proposal_id)).proposal.message_ts
        if not noted and ts:
            await asyncio.to_thread(_note, parts, proposal_id, channel, ts, UNKNOWN)
        elif ts not in {"", noted}:
            try:
                await client.chat_delete(channel=channel, ts=ts)
            except SlackApiError as error:
                log.warning("a second message %s of proposal %s stays: %s", ts, proposal_id, error_code(error))


async def _post(client: AsyncWebClient, parts: SlackParts, shown: Shown) -> None:
    name = parts.settings.slack.approvers_channel
    channel = await Directory(client, parts.database, parts.clock).channel(name)
    if channel is None:
        raise ConfigurationError(
            f"there is no channel #{name} that the bot can see. Create it and invite the bot, "
            "or set slack.approvers_channel."
        )
    found = await _find_posted(client, channel, shown.proposal)
    if found is not None:
        await asyncio.to_thread(_note, parts, shown.proposal.id, channel, found, UNKNOWN)
        return
    text, content = await asyncio.to_thread(_draw, parts, shown)
    metadata = {"event_type": METADATA, "event_payload": {"proposal_id": shown.proposal.id}}
    posted = await client.chat_postMessage(channel=channel, text=text, blocks=content, metadata=metadata)
    await asyncio.to_thread(_note, parts, shown.proposal.id, channel, str(posted["ts"]), _said(shown))


async def _find_posted(client: AsyncWebClient, channel: str, proposal: Proposal) -> str | None:
    """Look for the message that a process posted and died before noting; needs a scope that the app may not have."""
    oldest = f"{proposal.created_at.timestamp():.6f}"
    try:
        pages = await client.conversations_history(channel=channel, oldest=oldest, include_all_metadata=True)
        async for page in pages:
            for message in page["messages"]:
                metadata = message.get("metadata", {})
                if metadata.get("event_payload", {}).get("proposal_id") == proposal.id:
                    return str(message["ts"])
    except SlackApiError as error:
        if error_code(error) != "missing_scope":
            raise
    return None


async def _update(client: AsyncWebClient, parts: SlackParts, shown: Shown) -> None:
    proposal = shown.proposal
    text, content = await asyncio.to_thread(_draw, parts, shown)
    try:
        await client.chat_update(channel=proposal.channel, ts=proposal.message_ts, text=text, blocks=content)
    except SlackApiError as error:
        if error_code(error) not in NOT_CHANGEABLE:
            raise
        log.warning("the message of proposal %s stays as it is: %s", proposal.id, error_code(error))
    await asyncio.to_thread(_note, parts, proposal.id, proposal.channel, proposal.message_ts, _said(shown))


def _said(shown: Shown) -> Said:
    return shown.proposal.state, len(shown.decided)


def _note(parts: SlackParts, proposal_id: str, channel: str, ts: str, said: Said) -> None:
    with parts.database.transaction() as session:
        note_shown(session, proposal_id, channel, ts, *said)


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


def _draw(parts: SlackParts, shown: Shown) -> tuple[str, blocks.Blocks]:
    """Return the message's fallback text and its blocks."""
    proposal = shown.proposal
    status = [f"It is {proposal.state}." if proposal.state != "open" else "Nobody has decided yet."] * (
        not shown.decided
    )
    status += [blocks.escape(line) + "." for line in shown.decided]
    if proposal.state == "open":
        status.append(f"Open until {blocks.moment(proposal.expires_at)}.")
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
