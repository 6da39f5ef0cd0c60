"""Starting, pausing and resuming training with `/apprentice`: asked of governance, and said in plain words."""

import asyncio

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.links import approvers, whereabouts
from bot.slack.overview import counted
from bot.slack.parts import SlackParts
from bot.slack.wording import Wish, read_hours
from learning.scheduler import new_corrections
from storage.domains import DEFAULT_DOMAIN
from storage.errors import ApprenticeError
from storage.runs import Run, list_runs

NOTHING_NEW = "Nothing is new since the last training run, so none is started. Correct an answer first."


class Steering:
    """Does what people may ask of training; each method returns what the person is told, as mrkdwn."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._directory = directory

    async def do(self, wish: Wish, person: str) -> str:
        """Do what somebody asked for: `train`, `pause` or `resume`."""
        if wish.command == "train":
            return await self.train(person, wish.rest.lower() or DEFAULT_DOMAIN)
        return await (self.pause(person, wish.rest) if wish.command == "pause" else self.resume(person))

    async def train(self, person: str, domain: str) -> str:
        """Start a run for a domain, unless there is nothing new, one is under way, or the person may not."""
        if refusal := await asyncio.to_thread(self._parts.governance.may_start_training, person):
            return f"No training is started: {blocks.escape(refusal)}"
        try:
            domain = self._parts.governance.policy.check_domain(domain)
        except ApprenticeError as error:
            return f"No training is started: {blocks.escape(str(error))}"
        begun, interrupted, fresh = await asyncio.to_thread(self._read, domain)
        if begun:
            where = await whereabouts(self._client, self._parts, self._directory, begun[0].id)
            return f"Training run `{begun[0].id}` is under way already, so none is started: see {where}."
        if not fresh and not interrupted:
            return NOTHING_NEW
        try:
            run_id = await self._parts.training.begin(person, domain)
        except ApprenticeError as error:
            return f"No training is started: {blocks.escape(str(error))}"
        return await self._begun(run_id, fresh, resumed=bool(interrupted))

    async def pause(self, person: str, hours: str) -> str:
        """Let no run begin for so many hours, or until training is resumed."""
        try:
            length = read_hours(hours)
            pause = await asyncio.to_thread(self._parts.governance.pause_training, person, length)
        except ApprenticeError as error:
            return f"Training is not paused: {blocks.escape(str(error))}"
        until = f"until {blocks.moment(pause.ends_at)}" if pause.ends_at else "until somebody resumes it"
        return f"Training is paused {until}; a run that is under way goes on. `/apprentice resume` ends the pause."

    async def resume(self, person: str) -> str:
        """End the pause."""
        try:
            await asyncio.to_thread(self._parts.governance.resume_training, person)
        except ApprenticeError as error:
            return f"Nothing is resumed: {blocks.escape(str(error))}"
        return "Training is resumed: scheduled runs begin again, and so does `/apprentice train`."

    async def _begun(self, run_id: str, fresh: int, *, resumed: bool) -> str:
        channel = await approvers(self._parts, self._directory)
        if resumed:
            return f"Training run `{run_id}`, which was interrupted, goes on: see {channel}."
        return (
            f"Training run `{run_id}` has begun, on {counted(fresh, 'new correction')} and what was accepted before. "
            f"{channel} shows how far it is. What comes of it goes live only when somebody other than you approves it."
        )

    def _read(self, domain: str) -> tuple[list[Run], list[Run], int]:
        """Return the runs that are under way, those that were interrupted, and how many corrections are new."""
        with self._parts.database.read() as session:
            begun, interrupted = list_runs(session, "queued", "running"), list_runs(session, "interrupted")
        return (
            begun,
            interrupted,
            new_corrections(self._parts.database, self._parts.governance.policy.labels_of(domain)),
        )
