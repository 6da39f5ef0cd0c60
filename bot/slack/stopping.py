"""Somebody pressed Slack's Stop button: the answer in that thread ends with what it has said so far."""

import asyncio

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.jobs import Stop
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.thinking import set_session
from storage.interactions import thread_history

TOO_LATE = "There was nothing left to stop: the answer had ended already."


class StopDesk:
    """Takes the button. Who sees it may press it: the asker, and anybody else in the thread (docs/decisions/0018)."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox

    async def stop(self, job: Stop) -> None:
        """Stop the answer, which takes its button away itself; who comes too late is told so."""
        if self._parts.running.stop(job.channel, job.thread_ts):
            return
        await set_session(self._client, job.channel, job.thread_ts, "active")
        if not await asyncio.to_thread(self._was_stopped, job):
            await self._outbox.whisper(f"{job.key}/reply", job.channel, job.user, TOO_LATE, job.thread_ts)

    def _was_stopped(self, job: Stop) -> bool:
        """Whether the thread's last answer ended by a click: Slack ends its stream before it tells us of the click."""
        with self._parts.database.read() as session:
            last = thread_history(session, job.team, job.channel, job.thread_ts, limit=1)
        return any(row.usage.get("finish_reason") == "stopped" for row in last)
