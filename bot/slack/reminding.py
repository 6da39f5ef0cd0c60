"""Reminds those who can still decide that a proposal is about to expire: a reply to its message, each one once."""

import asyncio
import logging

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.deciding import who_can_decide
from bot.slack.parts import SlackParts
from bot.slack.posting import Subject, post_once
from bot.slack.refusals import NOT_CHANGEABLE, error_code
from governance.reminders import Reminder
from governance.voting import electorate_of
from storage.adapters import find_adapter
from storage.people import names_of
from storage.proposals import Proposal, get_proposal, note_reminded

log = logging.getLogger(__name__)

METADATA = "apprentice_reminder"
"""The type of the metadata by which a reminder that was given, but not noted, is found again."""


async def remind(client: AsyncWebClient, parts: SlackParts, reminder: Reminder) -> None:
    """Give a reminder; a proposal that no message shows yet waits for its message, one that was decided needs none."""
    proposal, text = await asyncio.to_thread(_read, parts, reminder)
    if not proposal.message_ts or proposal.state != "open":
        return
    subject = Subject(METADATA, f"{proposal.id}/{reminder.hours:g}", proposal.created_at)
    try:
        content = [blocks.section(text)]
        await post_once(client, proposal.channel, subject, text, content, thread_ts=proposal.message_ts)
    except SlackApiError as error:
        if error_code(error) not in {*NOT_CHANGEABLE, "thread_not_found"}:
            raise
        log.warning("nobody can be reminded of proposal %s: %s", proposal.id, error_code(error))
    await asyncio.to_thread(_note, parts, reminder)


def _read(parts: SlackParts, reminder: Reminder) -> tuple[Proposal, str]:
    with parts.database.read() as session:
        proposal = get_proposal(session, reminder.proposal_id)
        rules = parts.governance.policy.rules_of(find_adapter(session, proposal.adapter_digest).domain)
        electorate = electorate_of(session, rules, proposal, parts.governance.clock())
        who = who_can_decide(electorate, names_of(session, electorate.excluded))
    until = f"{proposal.expires_at:%Y-%m-%d %H:%M} UTC"
    return proposal, f"This proposal expires in less than {_length(reminder.hours)}, at {until}. {who}"


def _length(hours: float) -> str:
    return "an hour" if hours == 1 else f"{hours:g} hours"


def _note(parts: SlackParts, reminder: Reminder) -> None:
    with parts.database.transaction() as session:
        note_reminded(session, reminder.proposal_id, reminder.hours)
