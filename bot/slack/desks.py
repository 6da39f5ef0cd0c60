"""Who does which job in one workspace: each kind of job has its desk."""

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.answering import Answering
from bot.slack.approvals import Approvals
from bot.slack.cancelling import CancelDesk
from bot.slack.directory import Directory
from bot.slack.feedback import FeedbackDesk
from bot.slack.home import Home
from bot.slack.jobs import Cancellation, Correction, Decision, Job, News, Opened, Promotion, Question, Vote
from bot.slack.news import NewsDesk
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from storage.inbox import InboxEvent
from storage.outbox import OutboxCall


class Desks:
    """Does jobs with the client of one workspace, `team` (empty: the one that has the approvers)."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, team: str) -> None:
        directory = Directory(client, parts.database, parts.clock)
        self._outbox = Outbox(parts, team)
        self._answering = Answering(parts, client, self._outbox, directory)
        self._feedback = FeedbackDesk(parts, self._outbox, directory)
        self._approvals = Approvals(parts, client, self._outbox, directory)
        self._cancelling = CancelDesk(parts, client, self._outbox, directory)
        self._home = Home(parts, client)
        self._news = NewsDesk(parts, client, self._outbox)

    async def do(self, job: Job, event: InboxEvent) -> None:
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

    def apology(self, job: Job, sentence: str) -> OutboxCall | None:
        """Make what is owed to whoever asked for a job that was given up; None when nobody did."""
        key = f"{job.key}/apology"
        match job:
            case Question():
                return self._outbox.posting(key, job.channel, sentence, job.thread_ts)
            case Vote() | Correction():
                return self._outbox.whispering(key, job.channel, job.user, sentence, job.thread_ts)
            case Decision() | Cancellation():
                return self._outbox.whispering(key, job.channel, job.user, sentence)
            case Opened() | Promotion() | News():
                return None
