"""What a person sees on opening the app: the home tab, or suggested prompts among the messages."""

import asyncio
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.jobs import Opened
from bot.slack.parts import SlackParts
from bot.slack.prompts import suggested_prompts
from storage.feedback import count_corrections
from storage.proposals import list_proposals


class Home:
    """Answers `app_home_opened`."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient) -> None:
        self._parts = parts
        self._client = client

    async def show(self, job: Opened) -> None:
        """Publish the home tab, or suggest prompts in the messages tab."""
        if job.tab == "home":
            view = await asyncio.to_thread(self._view)
            await self._client.views_publish(user_id=job.user, view=view)
        else:
            prompts = await asyncio.to_thread(self._prompts, job.team)
            await self._client.assistant_threads_setSuggestedPrompts(
                channel_id=job.channel, title="Ask me something", prompts=prompts
            )

    def _prompts(self, team: str) -> list[dict[str, str]]:
        with self._parts.database.read() as session:
            return suggested_prompts(session, team, self._parts.clock())

    def _view(self) -> dict[str, Any]:
        with self._parts.database.read() as session:
            adapter = self._parts.serving.answering(session)
            corrections = count_corrections(session)
            waiting = len(list_proposals(session, "open"))
        serving = "The base model."
        if adapter is not None and adapter.serving_since is not None:
            serving = f"Adapter {adapter.digest[:12]}, since {adapter.serving_since:%Y-%m-%d %H:%M} UTC."
        if refused := self._parts.serving.refused:
            serving += f" Adapter {refused.digest[:12]} was approved since, but cannot be loaded."
        return blocks.home(serving, corrections, waiting)
