"""The slash command `/apprentice`: each use of it is answered for the eyes of whoever wrote it."""

import asyncio

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks, names
from bot.slack.answering import Answering
from bot.slack.asking import PrivateAnswers
from bot.slack.comparing import ComparisonDesk
from bot.slack.directory import Directory
from bot.slack.jobs import wish_of
from bot.slack.links import permalink, whereabouts
from bot.slack.my_data import MyData
from bot.slack.outbox import Outbox
from bot.slack.overview import proposal_line, read_overview, serving_text, training_text
from bot.slack.parts import SlackParts
from bot.slack.pinning import Pinning, pinned_text
from bot.slack.requests import Command
from bot.slack.steering import Steering
from bot.slack.whisper import Notice, confide
from bot.slack.wording import Wish, help_text, meant
from governance.people import why_no_answer
from storage.people import get_person

HOW_TO_ASK = "Write your question behind it, for example `{command} how much annual leave do we get?`"
SHOWN_PROPOSALS = 10


class CommandDesk:
    """Does what people write behind the slash command."""

    def __init__(
        self,
        parts: SlackParts,
        client: AsyncWebClient,
        outbox: Outbox,
        directory: Directory,
        answering: Answering,
        data: MyData,
        comparing: ComparisonDesk,
    ) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory
        self._answers = PrivateAnswers(parts, client, outbox, answering)
        self._data = data
        self._comparing = comparing
        self._steering = Steering(parts, client, directory)
        self._pinning = Pinning(parts)

    async def obey(self, job: Command) -> None:
        """Do what was asked for, and say so to whoever asked."""
        wish = wish_of(job)
        person = await self._directory.person(job.team, job.user)
        refusal = job.refused
        if not refusal and wish.command != "my-data":
            refusal = await asyncio.to_thread(self._why_not, person)
        if wish.command == "ask" and wish.rest and not refusal:
            await self._answers.answer(job, wish.rest, person)
            return
        if wish.command == "compare" and wish.rest and not refusal:
            await self._comparing.compare(job, wish.rest, person)
            return
        place = f"{job.team}/{job.channel}"
        shown = [blocks.section(refusal)] if refusal else await self._reply(wish, person, place)
        notice = Notice(_first_text(shown), shown)
        await confide(self._client, self._outbox, f"{job.key}/reply", job.channel, job.user, notice)

    def _why_not(self, person: str) -> str:
        """Say why somebody whom the policy ignores is told nothing but what is kept about them."""
        with self._parts.database.read() as session:
            return why_no_answer(self._parts.governance.policy, get_person(session, person))

    async def _reply(self, wish: Wish, person: str, place: str) -> blocks.Blocks:
        match wish.command:
            case "ask" | "compare":
                return [blocks.section(HOW_TO_ASK.format(command=f"{names.COMMAND} {wish.command}"))]
            case "status":
                return await self._status(person, place)
            case "my-data":
                return await self._data.summary(person)
            case "train" | "pause" | "resume":
                return [blocks.section(await self._steering.do(wish, person))]
            case "pin" | "unpin":
                return [blocks.section(await self._pinning.do(wish, person, place))]
            case _:
                return [*_unknown(wish), blocks.section(help_text())]

    async def _status(self, person: str, place: str) -> blocks.Blocks:
        overview = await asyncio.to_thread(read_overview, self._parts)
        pinned = await asyncio.to_thread(pinned_text, self._parts, person, place)
        training = training_text(overview)
        for run in overview.runs[:1]:
            training += f"\nSee {await whereabouts(self._client, self._parts, self._directory, run.id)}."
        waiting = [
            proposal_line(proposal, await permalink(self._client, proposal.channel, proposal.message_ts))
            for proposal in overview.open[:SHOWN_PROPOSALS]
        ]
        return [
            blocks.section(f"*Answering now*\n{serving_text(overview)}"),
            *([blocks.section(pinned)] if pinned else []),
            blocks.section(f"*Training*\n{training}"),
            blocks.section("*Waiting for approval*\n" + ("\n".join(waiting) or "Nothing.")),
        ]


def _unknown(wish: Wish) -> blocks.Blocks:
    """Say which word is no command, and what may have been meant."""
    if not wish.unknown:
        return []
    near = meant(wish.unknown)
    advice = (
        f"Did you mean `{names.COMMAND} {near}`?" if near else f"To ask me something: `{names.COMMAND} ask QUESTION`."
    )
    return [blocks.section(f"There is no command “{blocks.escape(blocks.clip(wish.unknown, 50))}”. {advice}")]


def _first_text(shown: blocks.Blocks) -> str:
    """Return what a notification shows of a reply."""
    return str(shown[0]["text"]["text"])
