"""Messages that stand for something in the database: posted once, found again after a crash, brought up to date.

Slack gives no way to post only what is not there yet. So each message carries what it stands for as metadata, and is
looked for before it is posted, where the app may read the channel.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.parts import SlackParts
from bot.slack.refusals import NOT_CHANGEABLE, error_code
from storage.errors import ConfigurationError
from storage.reviews import ReviewMessage
from storage.shown import ShownInSlack

log = logging.getLogger(__name__)

Said = tuple[str | None, int | None]
"""The state and the number of decisions that a message tells of."""
UNKNOWN: Said = (None, None)
"""What a message says of which only the place is known; it is drawn again."""
Note = Callable[[str, str, Said], None]
"""Keeps in which channel a message is, its ts, and what it tells of."""
ChannelSetting = Literal["approvers_channel", "reviewers_channel"]
"""What names a channel, of the settings for Slack."""
CLOCKS_DIFFER = timedelta(minutes=5)
"""How far Slack's clock, which dates messages, may be behind ours."""


@dataclass(frozen=True)
class Subject:
    """What a message stands for, named by `kind` and `id`.

    It may have been posted already, though not before `since`; None: it was not, so nobody has to look for it.
    """

    kind: str
    id: str
    since: datetime | None

    @property
    def metadata(self) -> dict[str, Any]:
        """What the message carries, by which it is found again."""
        return {"event_type": self.kind, "event_payload": {"id": self.id}}


@dataclass(frozen=True)
class Posted:
    """Where a message is; `found` means that it was there before, and may say something else."""

    ts: str
    found: bool


async def find_channel(client: AsyncWebClient, parts: SlackParts, setting: ChannelSetting) -> str:
    """Return the id of a channel that a setting names.

    Raises:
        ConfigurationError: the bot sees no channel of that name.

    """
    slack = parts.settings.slack
    name = slack.approvers_channel if setting == "approvers_channel" else slack.reviews_in
    channel = await Directory(client, parts.database, parts.clock).channel(name)
    if channel is None:
        raise ConfigurationError(
            f"there is no channel #{name} that the bot can see. Create it and invite the bot, or set slack.{setting}."
        )
    return channel


async def post_once(
    client: AsyncWebClient,
    channel: str,
    subject: Subject,
    text: str,
    content: blocks.Blocks,
    thread_ts: str | None = None,
) -> Posted:
    """Post a message, unless a process did that and died before it noted where."""
    found = await _find_where_allowed(client, channel, subject, thread_ts)
    if found is not None:
        return Posted(found, found=True)
    posted = await client.chat_postMessage(
        channel=channel, text=text, blocks=content, metadata=subject.metadata, thread_ts=thread_ts
    )
    return Posted(str(posted["ts"]), found=False)


async def bring_up_to_date(client: AsyncWebClient, channel: str, ts: str, text: str, content: blocks.Blocks) -> None:
    """Change a message; one that cannot be changed any more stays as it is."""
    try:
        await client.chat_update(channel=channel, ts=ts, text=text, blocks=content)
    except SlackApiError as error:
        if error_code(error) not in NOT_CHANGEABLE:
            raise
        log.warning("the message %s in %s stays as it is: %s", ts, channel, error_code(error))


async def remove_second(client: AsyncWebClient, channel: str, ts: str) -> None:
    """Remove a message that says what another one says."""
    try:
        await client.chat_delete(channel=channel, ts=ts)
    except SlackApiError as error:
        log.warning("a second message %s in %s stays: %s", ts, channel, error_code(error))


async def show_decidable(
    client: AsyncWebClient,
    parts: SlackParts,
    shown: ShownInSlack | ReviewMessage,
    told: Said,
    begin: Callable[[], Subject],
    said: Said,
    draw: Callable[[], tuple[str, blocks.Blocks]],
    note: Note,
    *,
    waits: bool,
    channel_of: ChannelSetting = "approvers_channel",
) -> None:
    """Make Slack show what people decide on as it is: post it where they see it, or bring its message up to date.

    `begin` is called just before it is posted and tells what the message stands for; `told` is what the message that is
    there tells of, `said` one that is drawn now. Does nothing when they are the same, or when nobody waits (`waits`)
    for a decision on what was never posted. Call it under `parts.drawing`.

    Raises:
        ConfigurationError: the bot sees no channel of that name.

    """
    if not shown.message_ts and waits:
        channel = await find_channel(client, parts, channel_of)
        subject, (text, content) = await asyncio.to_thread(lambda: (begin(), draw()))
        posted = await post_once(client, channel, subject, text, content)
        await asyncio.to_thread(note, channel, posted.ts, UNKNOWN if posted.found else said)
    elif shown.message_ts and told != said:
        text, content = await asyncio.to_thread(draw)
        await bring_up_to_date(client, shown.channel, shown.message_ts, text, content)
        await asyncio.to_thread(note, shown.channel, shown.message_ts, said)


async def keep_one(client: AsyncWebClient, noted: str, channel: str, ts: str, note: Note) -> None:
    """Take note of a message whose button was pressed, or remove it when another one is noted.

    A process that dies between posting a message and noting it leaves one that nobody knows of, with working buttons.
    """
    if not noted and ts:
        await asyncio.to_thread(note, channel, ts, UNKNOWN)
    elif ts not in {"", noted}:
        await remove_second(client, channel, ts)


async def find_posted(client: AsyncWebClient, channel: str, subject: Subject, thread_ts: str | None) -> str | None:
    """Return the ts of the message that carries the subject's metadata; None where there is none.

    Raises:
        SlackApiError: the channel or thread cannot be read.

    """
    if subject.since is None:
        return None
    oldest = (subject.since - CLOCKS_DIFFER).timestamp()
    read: dict[str, Any] = {"channel": channel, "oldest": f"{oldest:.6f}", "include_all_metadata": True}
    pages = await (
        client.conversations_history(**read)
        if thread_ts is None
        else client.conversations_replies(ts=thread_ts, **read)
    )
    async for page in pages:
        for message in page["messages"]:
            metadata = message.get("metadata", {})
            if {name: metadata.get(name) for name in subject.metadata} == subject.metadata:
                return str(message["ts"])
    return None


async def _find_where_allowed(
    client: AsyncWebClient, channel: str, subject: Subject, thread_ts: str | None
) -> str | None:
    """Look for the message, which needs a scope that the app may not have."""
    try:
        return await find_posted(client, channel, subject, thread_ts)
    except SlackApiError as error:
        if error_code(error) not in {"missing_scope", "thread_not_found"}:
            raise
        return None
