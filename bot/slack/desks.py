"""Who does which job in one workspace: each kind of job has its desk."""

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.admission import Admission
from bot.slack.answering import Answering
from bot.slack.approvals import Approvals
from bot.slack.breaking_glass import GlassDesk
from bot.slack.cancelling import CancelDesk
from bot.slack.channel_settings import SettingsDesk
from bot.slack.commands import CommandDesk
from bot.slack.comparing import ComparisonDesk
from bot.slack.directory import Directory
from bot.slack.feedback import FeedbackDesk
from bot.slack.feedback_jobs import Preference, Reaction, Reason, Reply, Withdrawal
from bot.slack.glass_jobs import GlassAnswer, GlassBroken
from bot.slack.home import Home
from bot.slack.jobs import (
    Cancellation,
    Correction,
    Decision,
    GroupsChanged,
    Job,
    Joined,
    News,
    Opened,
    Promotion,
    Question,
    Refusal,
    Review,
    ReviewNews,
    Saying,
    SettingsChange,
    StageBegun,
    Stop,
    TakenOut,
    Uninstalled,
    Vote,
)
from bot.slack.leaving import LeavingDesk
from bot.slack.my_data import MyData
from bot.slack.news import NewsDesk
from bot.slack.outbox import Outbox
from bot.slack.overload import OverloadDesk
from bot.slack.parts import SlackParts
from bot.slack.policy_jobs import PolicyVote, PolicyWithdrawal
from bot.slack.policy_proposals import PolicyDesk
from bot.slack.replies import ReplyDesk, question_of
from bot.slack.requests import Command, DataRequest, NewsChoice
from bot.slack.reviewing import ReviewDesk
from bot.slack.rollback_jobs import RollbackRequest
from bot.slack.rolling_back import RollbackDesk
from bot.slack.stages import StageDesk
from bot.slack.stopping import StopDesk
from bot.slack.user_groups import GroupDesk
from bot.slack.withdrawing import WithdrawalDesk
from storage.inbox import InboxEvent
from storage.outbox import OutboxCall

BY_ROLE = (
    Decision, PolicyVote, RollbackRequest, Review, Cancellation, GlassAnswer, SettingsChange, Command, Correction
)  # fmt: skip
"""Jobs that only some may ask for: no change of a user group that we were told of before is overlooked."""


class Desks:
    """Does jobs with the client of one workspace, `team` (empty: the one that has the approvers)."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, team: str) -> None:
        directory = Directory(client, parts.database, parts.clock)
        outbox = Outbox(parts, team)
        self._admission = Admission(parts, client, outbox, directory)
        self._answering = Answering(parts, client, outbox, directory)
        self._feedback = FeedbackDesk(parts, client, outbox, directory)
        self._withdrawing = WithdrawalDesk(parts, client, outbox, directory)
        self._replies = ReplyDesk(parts, outbox)
        self._approvals = Approvals(parts, client, outbox, directory)
        self._policies = PolicyDesk(parts, client, outbox, directory)
        self._stages = StageDesk(parts, outbox)
        self._rolling_back = RollbackDesk(parts, client, outbox, directory)
        self._breaking_glass = GlassDesk(parts, client, outbox, directory)
        self._reviewing = ReviewDesk(parts, client, outbox, directory)
        self._cancelling = CancelDesk(parts, client, outbox, directory)
        self._home = Home(parts, client, directory)
        self._data = MyData(parts, client, outbox, directory)
        self._comparing = ComparisonDesk(parts, client, outbox, directory, self._answering)
        self._commands = CommandDesk(parts, client, outbox, directory, self._answering, self._data, self._comparing)
        self._news = NewsDesk(parts, client, outbox)
        self._leaving = LeavingDesk(parts)
        self._settings = SettingsDesk(parts, client, outbox, directory)
        self._stopping = StopDesk(parts, client, outbox)
        self._overload = OverloadDesk(outbox)
        self._groups = GroupDesk(parts, client)

    async def do(self, job: Job, event: InboxEvent) -> None:
        """Do a job; `event` is its row in the inbox, in which a question notes what it has begun."""
        if isinstance(job, BY_ROLE):
            await self._groups.catch_up(job.team, event)
        await self._do(job, event)

    async def _do(self, job: Job, event: InboxEvent) -> None:  # noqa: C901, PLR0912, PLR0915 - a line for each kind of job
        match job:
            case Question():
                if await self._admission.admits(job):
                    await self._answering.answer(job, event)
            case Vote() | Reaction() | Reason() | Correction() | Preference() | Withdrawal() | Reply():
                await self._hear(job, event)
            case Decision():
                await self._approvals.decide(job)
            case PolicyVote():
                await self._policies.decide(job)
            case PolicyWithdrawal():
                await self._policies.withdraw(job)
            case Review():
                await self._reviewing.decide(job)
            case ReviewNews():
                await self._reviewing.tell(job)
            case Cancellation():
                await self._cancelling.cancel(job)
            case Opened():
                await self._home.show(job)
            case Promotion():
                await self._approvals.announce(job)
            case StageBegun():
                await self._stages.tell(job)
            case RollbackRequest():
                await self._rolling_back.roll_back(job)
            case TakenOut():
                await self._rolling_back.tell(job)
            case GlassBroken():
                await self._breaking_glass.tell(job)
            case GlassAnswer():
                await self._breaking_glass.answer(job)
            case News():
                await self._news.tell(job)
            case Uninstalled():
                await self._leaving.leave(job)
            case GroupsChanged():
                await self._groups.read(job, event.received_at)
            case Joined():
                await self._settings.greet(job)
            case SettingsChange():
                await self._settings.change(job)
            case Command():
                await self._commands.obey(job)
            case DataRequest():
                await self._data.send(job)
            case NewsChoice():
                await self._home.choose_news(job)
            case Stop():
                await self._stopping.stop(job)
            case Refusal():
                await self._overload.tell(job)

    async def _hear(self, job: Saying, event: InboxEvent) -> None:
        """Do what somebody says of an answer."""
        match job:
            case Reaction(added=False):
                await self._withdrawing.take_off(job)
            case Vote() | Reaction() | Reason() | Correction():
                await self._feedback.record(job, event)
            case Preference():
                await self._comparing.choose(job)
            case Withdrawal():
                await self._withdrawing.withdraw(job)
            case Reply():
                if not job.mentioned or await self._admission.admits(question_of(job)):
                    await self._replies.ask(job, event)


def apology(parts: SlackParts, job: Job, sentence: str) -> OutboxCall | None:
    """Make what is owed to whoever asked for a job that was given up; None when nobody did."""
    outbox, key = Outbox(parts, getattr(job, "team", "")), f"{job.key}/apology"
    match job:
        case Question():
            return outbox.posting(key, job.channel, sentence, job.thread_ts)
        case Vote() | Reaction() | Reason() | Correction() | Preference() | Withdrawal() | Reply() | Stop():
            return outbox.whispering(key, job.channel, job.user, sentence, job.thread_ts)
        case (
            Decision() | PolicyVote() | PolicyWithdrawal() | RollbackRequest() | Review() | Cancellation()
            | SettingsChange()
        ):  # fmt: skip
            return outbox.whispering(key, job.channel, job.user, sentence)
        case Command() | DataRequest() | NewsChoice() | GlassAnswer():
            return outbox.posting(key, job.user, sentence)
        case (
            Opened() | Promotion() | StageBegun() | TakenOut() | News() | ReviewNews() | Joined() | Uninstalled()
            | Refusal() | GlassBroken() | GroupsChanged()
        ):  # fmt: skip
            return None  # nobody asked for anything
