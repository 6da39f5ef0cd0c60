"""A training run as one message in the approvers' channel, updated while the run goes."""

import asyncio
import logging

import aiohttp
from slack_sdk.errors import SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.directory import Directory
from bot.slack.parts import SlackParts
from bot.slack.run_message import read_standing, run_message
from learning.pipeline import RunEvent

log = logging.getLogger(__name__)

PAUSE_S = 3.0
"""Between two updates of one message; Slack allows about one a second, and nobody reads faster than this."""


class RunProgress:
    """Shows runs. `on_event` may be called from any thread, as often as one likes; `run` does the talking."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, *, pause_s: float = PAUSE_S) -> None:
        self._parts = parts
        self._client = client
        self._pause_s = pause_s
        self._directory = Directory(client, parts.database, parts.clock)
        self._latest: dict[str, RunEvent] = {}
        self._messages = parts.run_messages
        self._plans: dict[str, str] = {}

    def on_event(self, event: RunEvent) -> None:
        """Keep the newest event of a run."""
        self._latest[event.run_id] = event
        if event.plan is not None:
            self._plans[event.run_id] = event.message

    async def run(self) -> None:
        """Post and update until cancelled; a run goes on, whatever becomes of the message about it."""
        shown: dict[str, object] = {}
        while True:
            for run_id, event in list(self._latest.items()):
                standing, _ = await asyncio.to_thread(read_standing, self._parts.database, run_id)
                if shown.get(run_id) != (event, standing):
                    shown[run_id] = (event, standing)
                    await self._try_to_show(event)
                if standing.ended and self._latest[run_id] == event:
                    del self._latest[run_id]
            await asyncio.sleep(self._pause_s)

    async def _try_to_show(self, event: RunEvent) -> None:
        try:
            await self.show(event)
        except (SlackClientError, aiohttp.ClientError, TimeoutError):
            log.exception("the progress of run %s cannot be shown", event.run_id)

    async def show(self, event: RunEvent) -> None:
        """Post the run's message, or bring it up to date; without an approvers' channel nothing is shown."""
        channel = await self._directory.channel(self._parts.settings.slack.approvers_channel)
        if channel is None:
            return
        async with self._parts.drawing:  # whoever cancels the run draws its message too
            standing, _ = await asyncio.to_thread(read_standing, self._parts.database, event.run_id)
            text, content = run_message(event, standing, self._plans.get(event.run_id, ""))
            known = self._messages.get(event.run_id)
            if known:
                await self._client.chat_update(channel=channel, ts=known, text=text, blocks=content)
            else:
                posted = await self._client.chat_postMessage(channel=channel, text=text, blocks=content)
                self._messages[event.run_id] = str(posted["ts"])
