"""A channel's settings in Slack: the greeting where the bot is added, the form for whoever may, and the change."""

import asyncio
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.jobs import Joined, SettingsChange
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.refusals import error_code
from bot.slack.settings_form import greeting, saved, settings_modal
from storage.channels import channel_settings
from storage.errors import ApprenticeError

DIRECT = "D"
"""With this the id of a direct message begins."""
NOT_A_MEMBER = "only members of a channel can change its settings."
NO_CHANNEL = (
    "direct messages with me have no settings; I answer everything here. Ask for them in a channel that I am in."
)
NOT_THERE = "I am not in this channel, so it has no settings. Invite me first."


async def open_settings(
    parts: SlackParts, client: AsyncWebClient, trigger_id: str, *, team: str, channel: str, user: str
) -> None:
    """Show the form to a person, or why they may not have it; the trigger, which lives 3 s, is used first."""
    waiting = await client.views_open(trigger_id=trigger_id, view=blocks.notice_modal("Settings", "One moment…"))
    directory = Directory(client, parts.database, parts.clock)
    refusal = await _why_not(parts, directory, team, channel, user)
    view = (
        blocks.notice_modal("Settings", blocks.escape(refusal))
        if refusal
        else await asyncio.to_thread(_form, parts, team, channel)
    )
    await client.views_update(view_id=waiting["view"]["id"], view=view)


class SettingsDesk:
    """Greets channels and changes their settings."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def greet(self, job: Joined) -> None:
        """Say hello in a channel, with the button that opens its settings."""
        text, content = greeting()
        await self._outbox.post(f"{job.key}/greeting", job.channel, text, blocks=content)

    async def change(self, job: SettingsChange) -> None:
        """Change settings through governance; whoever sent them is told what is in force, or why they may not."""
        reply = await self._change(job)
        await self._outbox.whisper(f"{job.key}/reply", job.channel, job.user, reply)

    async def _change(self, job: SettingsChange) -> str:
        if refusal := await _why_not(self._parts, self._directory, job.team, job.channel, job.user):
            return blocks.escape(refusal)
        person = await self._directory.person(job.team, job.user)
        governance = self._parts.governance
        try:
            await asyncio.to_thread(governance.change_channel, job.team, job.channel, job.settings, person)
        except ApprenticeError as error:
            return blocks.escape(str(error))
        await self._parts.ears.renew(self._parts.database)
        return saved(job.settings)


async def _why_not(parts: SlackParts, directory: Directory, team: str, channel: str, user: str) -> str:
    """Return why somebody may not change a channel's settings; empty when they may."""
    person = await directory.person(team, user)
    refusal = await asyncio.to_thread(parts.governance.may_set_channel, person)
    if refusal:
        return refusal
    if channel.startswith(DIRECT):
        return NO_CHANNEL
    try:
        return "" if await directory.is_member(channel, user) else NOT_A_MEMBER
    except SlackApiError as error:
        if error_code(error) not in {"channel_not_found", "not_in_channel"}:
            raise
        return NOT_THERE


def _form(parts: SlackParts, team: str, channel: str) -> dict[str, Any]:
    with parts.database.read() as session:
        return settings_modal(team, channel, channel_settings(session, team, channel))
