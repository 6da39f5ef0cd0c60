"""What a person sees on opening the app: the home tab, or suggested prompts among the messages."""

import asyncio
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.jobs import Opened
from bot.slack.parts import SlackParts
from storage.feedback import count_corrections
from storage.people import person_id, time_zone_of
from storage.proposals import list_proposals

PROMPTS = [
    {"title": "What can you do?", "message": "What can you help me with?"},
    {"title": "How do you learn?", "message": "How do I correct an answer of yours?"},
]


class Home:
    """Answers `app_home_opened`."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient) -> None:
        self._parts = parts
        self._client = client

    async def show(self, job: Opened) -> None:
        """Publish the home tab, or suggest prompts in the messages tab."""
        if job.tab == "home":
            view = await asyncio.to_thread(self._view, person_id(job.team, job.user))
            await self._client.views_publish(user_id=job.user, view=view)
        else:
            await self._client.assistant_threads_setSuggestedPrompts(
                channel_id=job.channel, title="Ask me something", prompts=PROMPTS
            )

    def _view(self, reader: str) -> dict[str, Any]:
        with self._parts.database.read() as session:
            adapter = self._parts.serving.answering(session)
            corrections = count_corrections(session)
            waiting = len(list_proposals(session, "open"))
            zone = time_zone_of(session, reader)
        serving = "The base model."
        if adapter is not None and adapter.serving_since is not None:
            serving = f"Adapter {adapter.digest[:12]}, since {blocks.moment(adapter.serving_since, zone)}."
        if refused := self._parts.serving.refused:
            serving += f" Adapter {refused.digest[:12]} was approved since, but cannot be loaded."
        return blocks.home(serving, corrections, waiting)
