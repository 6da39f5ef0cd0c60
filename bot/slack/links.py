"""Links to what Slack shows: a message, the message of a run."""

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.directory import Directory
from bot.slack.parts import SlackParts


async def permalink(client: AsyncWebClient, channel: str, ts: str) -> str | None:
    """Return a message's address; None when there is no such message, or none that the bot can see."""
    if not ts:
        return None
    try:
        return str((await client.chat_getPermalink(channel=channel, message_ts=ts))["permalink"])
    except SlackApiError:
        return None


async def approvers(parts: SlackParts, directory: Directory) -> str:
    """Name the approvers' channel, as a link where the bot can see it."""
    name = parts.settings.slack.approvers_channel
    channel = await directory.channel(name)
    return f"<#{channel}>" if channel else f"#{name}"


async def whereabouts(client: AsyncWebClient, parts: SlackParts, directory: Directory, run_id: str) -> str:
    """Say where a run's progress is seen: a link to its message, or else the channel that it is in."""
    channel = await directory.channel(parts.settings.slack.approvers_channel)
    link = await permalink(client, channel or "", parts.run_messages.get(run_id, ""))
    return f"<{link}|its message>" if link else await approvers(parts, directory)
