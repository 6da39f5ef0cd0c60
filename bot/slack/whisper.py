"""Says something that only one person sees."""

import logging
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.refusals import error_code

log = logging.getLogger(__name__)

UNREACHABLE = {"user_not_in_channel", "channel_not_found", "not_in_channel", "is_archived"}


async def whisper(client: AsyncWebClient, channel: str, user: str, text: str, thread_ts: str | None = None) -> None:
    """Post an ephemeral message; a person who has left the channel is not told, which is no failure."""
    try:
        await client.chat_postEphemeral(channel=channel, user=user, text=text, thread_ts=thread_ts or None)
    except SlackApiError as error:
        if error_code(error) not in UNREACHABLE:
            raise
        log.info("%s cannot be told in %s: %s", user, channel, error_code(error))


async def confide(
    client: AsyncWebClient, channel: str, user: str, text: str, blocks: list[dict[str, Any]] | None = None
) -> str:
    """Tell one person something where they are, for their eyes only; where the bot is not, in direct messages.

    Returns the channel in which it was told.
    """
    try:
        await client.chat_postEphemeral(channel=channel, user=user, text=text, blocks=blocks)
    except SlackApiError as error:
        if error_code(error) not in UNREACHABLE:
            raise
        return await write_to(client, user, text, blocks)
    return channel


async def write_to(client: AsyncWebClient, user: str, text: str, blocks: list[dict[str, Any]] | None = None) -> str:
    """Write a person a direct message; return its channel."""
    channel = str((await client.conversations_open(users=user))["channel"]["id"])
    await client.chat_postMessage(channel=channel, text=text, blocks=blocks)
    return channel
