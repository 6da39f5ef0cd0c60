"""Reminders of proposals that are about to expire, of an adapter or a policy: each a reply to its message, once."""

import asyncio
import logging

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from sqlmodel import Session

from bot.slack import blocks
from bot.slack.deciding import who_can_decide
from bot.slack.parts import SlackParts
from bot.slack.policy_blocks import asked_of
from bot.slack.policy_proposals import read_shown
from bot.slack.posting import Subject, post_once
from bot.slack.refusals import NOT_CHANGEABLE, error_code
from governance.approvals import Proposed
from governance.reminders import Reminder
from governance.voting import electorate_of
from storage.adapters import find_adapter
from storage.people import names_of
from storage.policies import note_version_reminded
from storage.proposals import get_proposal, note_reminded

log = logging.getLogger(__name__)

METADATA = "apprentice_reminder"
"""The type of the metadata by which a reminder that was given, but not noted, is found again."""
WAITING = {"open", "proposed"}
"""The states in which an adapter's proposal, or a policy, can be decided."""


async def remind(client: AsyncWebClient, parts: SlackParts, reminder: Reminder) -> None:
    """Give a reminder; a proposal that no message shows yet waits for its message, one that was decided needs none."""
    proposed, text = await asyncio.to_thread(_read, parts, reminder)
    if not proposed.message_ts or proposed.state not in WAITING:
        return
    subject = Subject(METADATA, f"{proposed.id}/{reminder.hours:g}", proposed.created_at)
    try:
        content = [blocks.section(text)]
        await post_once(client, proposed.channel, subject, text, content, thread_ts=proposed.message_ts)
    except SlackApiError as error:
        if error_code(error) not in {*NOT_CHANGEABLE, "thread_not_found"}:
            raise
        log.warning("nobody can be reminded of proposal %s: %s", proposed.id, error_code(error))
    await asyncio.to_thread(_note, parts, reminder)


def _read(parts: SlackParts, reminder: Reminder) -> tuple[Proposed, str]:
    with parts.database.read() as session:
        proposed, who = (_policy if reminder.of == "policy" else _adapter)(parts, session, reminder.proposal_id)
    until = f"{proposed.expires_at:%Y-%m-%d %H:%M} UTC"
    return proposed, f"This proposal expires in less than {_length(reminder.hours)}, at {until}. {who}"


def _adapter(parts: SlackParts, session: Session, proposal_id: str) -> tuple[Proposed, str]:
    proposal = get_proposal(session, proposal_id)
    rules = parts.governance.policy.rules_of(find_adapter(session, proposal.adapter_digest).domain)
    electorate = electorate_of(session, rules, proposal, parts.governance.clock())
    return proposal, who_can_decide(electorate, names_of(session, electorate.excluded))


def _policy(parts: SlackParts, session: Session, version_id: str) -> tuple[Proposed, str]:
    shown = read_shown(parts, session, version_id)
    return shown.case.version, " ".join(asked_of(shown.case, shown.people, shown.electorates))


def _length(hours: float) -> str:
    return "an hour" if hours == 1 else f"{hours:g} hours"


def _note(parts: SlackParts, reminder: Reminder) -> None:
    note = note_version_reminded if reminder.of == "policy" else note_reminded
    with parts.database.transaction() as session:
        note(session, reminder.proposal_id, reminder.hours)
