"""What people see while an answer is in the making: the status line, and Slack's own Stop button.

The button is Slack's: it shows one while a thread's agent session is `processing` (docs/decisions/0018).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Literal

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.jobs import Question
from bot.slack.pace import Pace
from bot.slack.running import RunningAnswer, RunningAnswers

log = logging.getLogger(__name__)

THINKING = "is thinking…"
LOADING = ("Reading the question…", "Looking for accepted corrections…", "Thinking…")
"""What Slack shows in turn beside the status; at most 10."""


@asynccontextmanager
async def thinking(
    client: AsyncWebClient, question: Question, running: RunningAnswers, answer: RunningAnswer, pace: Pace
) -> AsyncIterator[None]:
    """Say what is going on for as long as the block runs; at its end nothing of that is left."""
    line = StatusLine(client, question, running, answer, pace)
    task = asyncio.create_task(line.keep())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await line.clear()


class StatusLine:
    """The status of one question. An answer is not lost because Slack does not show it."""

    def __init__(
        self, client: AsyncWebClient, question: Question, running: RunningAnswers, answer: RunningAnswer, pace: Pace
    ) -> None:
        self._client = client
        self._question = question
        self._running = running
        self._answer = answer
        self._pace = pace
        self._stoppable = False
        self._shown, self._at = "", time.monotonic()

    async def keep(self) -> None:
        """Set the status, and set it again, until cancelled or until the answer itself is there to see."""
        began = time.monotonic()
        while True:
            patient = time.monotonic() - began < self._pace.patience
            if not self._answer.begun:
                await self._say(THINKING if patient else queue_status(self._running.before(self._answer)))
            if not patient and not self._stoppable:
                self._stoppable = True
                await set_session(self._client, self._question.channel, self._question.thread_ts, "processing")
            await asyncio.sleep(self._pace.look)

    async def clear(self) -> None:
        """Take status and button away."""
        await self._show("")
        if self._stoppable:
            await set_session(self._client, self._question.channel, self._question.thread_ts, "active")

    async def _say(self, status: str) -> None:
        """Show a status that is new, or that Slack is about to clear.

        The more people wait, the rarer each is told of a new one, so that all together stay within Slack's limits.
        """
        since = time.monotonic() - self._at
        moved = status != self._shown and (
            self._shown in {"", THINKING} or since >= self._running.waiting() * self._pace.look
        )
        if moved or since >= self._pace.refresh:
            self._shown, self._at = status, time.monotonic()
            await self._show(status)

    async def _show(self, status: str) -> None:
        loading = {THINKING: list(LOADING), "": None}.get(status, [status])
        await _try(
            self._client.assistant_threads_setStatus(
                channel_id=self._question.channel,
                thread_ts=self._question.thread_ts,
                status=status,
                loading_messages=loading,
            )
        )


def queue_status(before: int) -> str:
    """Say how many questions the engine takes before this one."""
    if before == 0:
        return THINKING
    return f"is busy: {before} {'question is' if before == 1 else 'questions are'} before yours…"


async def set_session(
    client: AsyncWebClient, channel: str, thread_ts: str, status: Literal["processing", "active"]
) -> None:
    """Say whether the app works in a thread; while it does, Slack shows its Stop button there."""
    await _try(client.agents_sessions_setStatus(channel_id=channel, thread_ts=thread_ts, status=status))


async def _try(call: Awaitable[object]) -> None:
    try:
        await call
    except (SlackApiError, aiohttp.ClientError, TimeoutError) as error:
        log.info("what goes on in a thread is not shown: %s", error)
