"""Says something that only one person sees, at once and by what only works at once; the rest is in the outbox."""

import logging
from dataclasses import dataclass, field

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.slack.blocks import Blocks
from bot.slack.outbox import Outbox
from bot.slack.refusals import error_code

log = logging.getLogger(__name__)

UNREACHABLE = {"user_not_in_channel", "channel_not_found", "not_in_channel", "is_archived"}
TAKEN = 200
"""What a response URL answers when the message was changed; used up, or too old, it answers 404."""


@dataclass(frozen=True)
class Notice:
    """What one person is told: blocks, and the text where blocks are not shown."""

    text: str
    blocks: Blocks = field(default_factory=list)


async def replace_whisper(client: AsyncWebClient, response_url: str, notice: Notice) -> bool:
    """Put a notice in the place of the whisper that was clicked on; return False when Slack does not do that any more.

    A whisper cannot be changed in any other way, and doing it twice changes nothing.
    """
    webhook = AsyncWebhookClient(response_url, proxy=client.proxy)
    answer = await webhook.send(text=notice.text, blocks=notice.blocks, replace_original=True)
    if answer.status_code != TAKEN:
        log.info("a whisper was not replaced: %s %s", answer.status_code, answer.body)
    return answer.status_code == TAKEN


async def remove_whisper(client: AsyncWebClient, response_url: str) -> None:
    """Take away the whisper that was clicked on; that one stays is no failure."""
    try:
        await AsyncWebhookClient(response_url, proxy=client.proxy).send(delete_original=True)
    except (aiohttp.ClientError, TimeoutError) as error:
        log.info("a whisper was not removed: %s", error)


async def confide(client: AsyncWebClient, outbox: Outbox, key: str, channel: str, user: str, notice: Notice) -> str:
    """Tell one person something where they are, for their eyes only; where the bot is not, in direct messages.

    Returns the channel in which it is told. `key` is that of the direct message in the outbox.
    """
    try:
        await client.chat_postEphemeral(channel=channel, user=user, text=notice.text, blocks=notice.blocks or None)
    except SlackApiError as error:
        if error_code(error) not in UNREACHABLE:
            raise
        return await write_to(client, outbox, key, user, notice)
    return channel


async def write_to(client: AsyncWebClient, outbox: Outbox, key: str, user: str, notice: Notice) -> str:
    """Owe a person a direct message; return its channel."""
    channel = str((await client.conversations_open(users=user))["channel"]["id"])
    await outbox.post(key, channel, notice.text, blocks=notice.blocks or None)
    return channel
