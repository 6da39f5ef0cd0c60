"""Somebody pressed Slack's Stop button: the answer in that thread ends with what it has said so far."""

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.jobs import Stop
from bot.slack.parts import SlackParts
from bot.slack.thinking import set_session
from bot.slack.whisper import whisper

TOO_LATE = "There was nothing left to stop: the answer had ended already."


class StopDesk:
    """Takes the button. Who sees it may press it: the asker, and anybody else in the thread (docs/decisions/0018)."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient) -> None:
        self._parts = parts
        self._client = client

    async def stop(self, job: Stop) -> None:
        """Stop the answer, which takes its button away itself; who comes too late is told so."""
        if self._parts.running.stop(job.channel, job.thread_ts):
            return
        await set_session(self._client, job.channel, job.thread_ts, "active")
        await whisper(self._client, job.channel, job.user, TOO_LATE, job.thread_ts)
