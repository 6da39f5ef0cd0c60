"""Who does which job in one workspace: each kind of job has its desk."""

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.answering import Answering
from bot.slack.approvals import Approvals
from bot.slack.cancelling import CancelDesk
from bot.slack.directory import Directory
from bot.slack.feedback import FeedbackDesk
from bot.slack.home import Home
from bot.slack.jobs import (
    Cancellation,
    Correction,
    Decision,
    Job,
    News,
    Opened,
    Promotion,
    Question,
    Refusal,
    Stop,
    Vote,
)
from bot.slack.news import NewsDesk
from bot.slack.overload import OverloadDesk
from bot.slack.parts import SlackParts
from bot.slack.stopping import StopDesk
from bot.slack.whisper import whisper
from storage.inbox import InboxEvent


class Desks:
    """Does jobs with the client of one workspace."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient) -> None:
        directory = Directory(client, parts.database, parts.clock)
        self._client = client
        self._answering = Answering(parts, client, directory)
        self._feedback = FeedbackDesk(parts, client, directory)
        self._approvals = Approvals(parts, client, directory)
        self._cancelling = CancelDesk(parts, client, directory)
        self._home = Home(parts, client)
        self._news = NewsDesk(parts, client)
        self._stopping = StopDesk(parts, client)
        self._overload = OverloadDesk(client)

    async def do(self, job: Job, event: InboxEvent) -> None:  # noqa: C901 - a list of cases
        """Do a job; `event` is its row in the inbox, in which a question notes what it has begun."""
        match job:
            case Question():
                await self._answering.answer(job, event)
            case Vote():
                await self._feedback.record_vote(job)
            case Correction():
                await self._feedback.record_correction(job)
            case Decision():
                await self._approvals.decide(job)
            case Cancellation():
                await self._cancelling.cancel(job)
            case Opened():
                await self._home.show(job)
            case Promotion():
                await self._approvals.announce(job)
            case News():
                await self._news.tell(job)
            case Stop():
                await self._stopping.stop(job)
            case Refusal():
                await self._overload.tell(job)

    async def apologise(self, job: Job, sentence: str) -> None:
        """Say to whoever asked for the job that it was given up."""
        match job:
            case Question():
                await self._client.chat_postMessage(channel=job.channel, thread_ts=job.thread_ts, text=sentence)
            case Vote() | Correction() | Stop():
                await whisper(self._client, job.channel, job.user, sentence, job.thread_ts)
            case Decision() | Cancellation():
                await whisper(self._client, job.channel, job.user, sentence)
            case Opened() | Promotion() | News() | Refusal():
                pass  # nobody asked for anything
