"""Says something that only one person sees."""

import logging

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.blocks import Blocks
from bot.slack.refusals import error_code

log = logging.getLogger(__name__)

UNREACHABLE = {"user_not_in_channel", "channel_not_found", "not_in_channel", "is_archived"}


async def whisper(
    client: AsyncWebClient,
    channel: str,
    user: str,
    text: str,
    thread_ts: str | None = None,
    blocks: Blocks | None = None,
) -> None:
    """Post an ephemeral message; a person who has left the channel is not told, which is no failure."""
    try:
        await client.chat_postEphemeral(channel=channel, user=user, text=text, thread_ts=thread_ts, blocks=blocks)
    except SlackApiError as error:
        if error_code(error) not in UNREACHABLE:
            raise
        log.info("%s cannot be told in %s: %s", user, channel, error_code(error))
