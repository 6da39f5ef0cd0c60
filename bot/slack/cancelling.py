"""Cancelling a training run in Slack: the button of the run's message, and what it says afterwards."""

import asyncio
import logging

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.jobs import Cancellation
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.refusals import NOT_CHANGEABLE, error_code
from bot.slack.run_message import event_of, plan_of, read_standing, run_message
from learning.cancelling import cancel
from storage.errors import ApprenticeError

log = logging.getLogger(__name__)


class CancelDesk:
    """Takes the button of a run's message."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def cancel(self, job: Cancellation) -> None:
        """Cancel through governance; who may not, or comes too late, is told so, and nobody else."""
        person = await self._directory.person(job.team, job.user)
        reply = await self._cancel(job, person)
        await self._draw(job)
        if reply:
            await self._outbox.whisper(f"{job.key}/reply", job.channel, job.user, blocks.escape(reply))

    async def _cancel(self, job: Cancellation, person: str) -> str:
        """Return what only this person is told; empty when the message says it all."""
        rules, folder = self._parts.governance, self._parts.settings.run_folder
        try:
            await asyncio.to_thread(cancel, rules, folder, job.run_id, person)
        except ApprenticeError as error:
            return str(error)
        return ""

    async def _draw(self, job: Cancellation) -> None:
        """Take the button off the message that was pressed, which may be one that a process posted that is no more."""
        async with self._parts.drawing:
            standing, progress = await asyncio.to_thread(read_standing, self._parts.database, job.run_id)
            if standing.cancellable:
                return
            text, content = run_message(event_of(job.run_id, progress), standing, plan_of(progress))
            try:
                await self._client.chat_update(channel=job.channel, ts=job.message_ts, text=text, blocks=content)
            except SlackApiError as error:
                if error_code(error) not in NOT_CHANGEABLE:
                    raise
                log.warning("the message of run %s stays as it is: %s", job.run_id, error_code(error))
