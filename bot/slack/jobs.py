"""What Slack sent, reduced to the work that follows from it. Pure: bodies in, jobs out; the inbox keeps the jobs.

A job's `key` is the same for each delivery of one thing, so that the inbox stores it once. Its `lane` names what
must be handled in order: a thread, or a proposal. Only what the work needs is kept of a body, so neither tokens nor
other people's data reach the database.
"""

import hashlib
import html
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal, cast, get_args

from bot.slack import names
from bot.slack.bodies import clicked, explained, typed
from bot.slack.feedback_jobs import (
    Preference,
    Reaction,
    Reason,
    Reply,
    Withdrawal,
    reaction_of,
    reads_like_a_correction,
    reply_key,
)
from bot.slack.glass_jobs import GlassAnswer, GlassBroken
from bot.slack.policy_jobs import PolicyVote, PolicyWithdrawal
from bot.slack.requests import Command, DataRequest, NewsChoice
from bot.slack.rollback_jobs import RollbackRequest
from bot.slack.wording import Wish, read_wish
from storage.channels import Answers, ChannelSettings

PERSON_SUBTYPES = {"", "file_share", "thread_broadcast"}
"""Message subtypes that are something a person wrote; all others are edits, deletions, joins, bots."""
BOT_SUBTYPES = PERSON_SUBTYPES | {"bot_message"}
LINK = re.compile(r"<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>")


Stage = Literal["frozen", "shadow", "canary"]


@dataclass(frozen=True)
class Hearing:
    """What is heard besides mentions and direct messages: all that people write in `channels` (workspace and channel).

    `bots`: whether other apps are heard at all.
    """

    channels: frozenset[tuple[str, str]] = frozenset()
    bots: bool = False


@dataclass(frozen=True)
class Question:
    """A message to be answered. `begun` are the messages that a process which died had begun to write, if any.

    `mentioned` is false for one that was only heard; `user_team` is the workspace of somebody in a shared channel.
    `insisted`: it reads like a correction, and whoever wrote it said that it is a question.
    """

    kind: ClassVar[str] = "question"
    team: str
    channel: str
    user: str
    text: str
    ts: str
    thread_ts: str
    direct: bool
    begun: list[str] = field(default_factory=list)
    mentioned: bool = True
    user_team: str = ""
    insisted: bool = False

    @property
    def key(self) -> str:
        """Channel and ts: a mention arrives as `app_mention` and as `message`, each with its own event id."""
        return f"message/{self.team}/{self.channel}/{self.ts}" + ("/insisted" if self.insisted else "")

    @property
    def lane(self) -> str:
        """Questions of a thread are answered one after the other."""
        return f"{self.channel}/{self.thread_ts}"


@dataclass(frozen=True)
class Vote:
    """A click on one of the two feedback buttons."""

    kind: ClassVar[str] = "vote"
    team: str
    channel: str
    user: str
    interaction_id: str
    verdict: Literal["up", "down"]
    thread_ts: str
    action_ts: str

    @property
    def key(self) -> str:
        """Each click counts: a person who changes their mind clicks again."""
        return f"vote/{self.team}/{self.user}/{self.interaction_id}/{self.action_ts}"

    @property
    def lane(self) -> str:
        """Clicks on the answers of a thread keep their order."""
        return f"{self.channel}/{self.thread_ts}"


@dataclass(frozen=True)
class Correction:
    """A corrected answer from the modal, or (with a `reply_ts`) from a reply; its text was checked before it came here.

    `view_id` is the modal's, or the ts of the click that took the reply for a correction; `response_url` is that of the
    message that asked, empty when there was none.
    """

    kind: ClassVar[str] = "correction"
    team: str
    channel: str
    user: str
    interaction_id: str
    text: str
    thread_ts: str
    view_id: str
    reply_ts: str = ""
    response_url: str = ""

    @property
    def key(self) -> str:
        """A view is submitted once."""
        return f"view/{self.team}/{self.view_id}"

    @property
    def lane(self) -> str:
        """Corrections and votes in a thread keep their order."""
        return f"{self.channel}/{self.thread_ts}"


@dataclass(frozen=True)
class Decision:
    """A click on Approve, or a submitted reason for a rejection. `delivery` is the action's ts, or the view's id.

    `message_ts` is the message whose button was pressed.
    """

    kind: ClassVar[str] = "decision"
    team: str
    channel: str
    user: str
    proposal_id: str
    verdict: Literal["approve", "reject"]
    reason: str
    delivery: str
    message_ts: str = ""

    @property
    def key(self) -> str:
        """One click or submission."""
        return f"decision/{self.team}/{self.user}/{self.proposal_id}/{self.delivery}"

    @property
    def lane(self) -> str:
        """Decisions on a proposal are taken one after the other."""
        return self.proposal_id


@dataclass(frozen=True)
class Review:
    """A click on Accept at a correction, or a submitted reason why it is declined.

    `delivery` is the action's ts, or the view's id; `message_ts` the message whose button was pressed first.
    """

    kind: ClassVar[str] = "review"
    team: str
    channel: str
    user: str
    feedback_id: str
    verdict: Literal["accept", "decline"]
    reason: str
    delivery: str
    message_ts: str

    @property
    def key(self) -> str:
        """One click or submission."""
        return f"review/{self.team}/{self.user}/{self.feedback_id}/{self.delivery}"

    @property
    def lane(self) -> str:
        """Decisions on a correction are taken one after the other."""
        return self.feedback_id


@dataclass(frozen=True)
class ReviewNews:
    """The author of a correction is to be told what a reviewer decided at `decided_at` (ISO 8601)."""

    kind: ClassVar[str] = "review_news"
    team: str
    feedback_id: str
    decided_at: str

    @property
    def key(self) -> str:
        """Each decision is told once."""
        return f"review_news/{self.feedback_id}/{self.decided_at}"

    @property
    def lane(self) -> str:
        """After the decision."""
        return self.feedback_id


@dataclass(frozen=True)
class Cancellation:
    """A confirmed click on the button that cancels a training run. `message_ts` is the message that has the button."""

    kind: ClassVar[str] = "cancellation"
    team: str
    channel: str
    user: str
    run_id: str
    message_ts: str
    action_ts: str

    @property
    def key(self) -> str:
        """One click."""
        return f"cancellation/{self.team}/{self.user}/{self.run_id}/{self.action_ts}"

    @property
    def lane(self) -> str:
        """Whatever is done to a run is done one after the other."""
        return self.run_id


@dataclass(frozen=True)
class Opened:
    """Somebody opened the app: its home tab, or its messages."""

    kind: ClassVar[str] = "opened"
    team: str
    channel: str
    user: str
    tab: str
    event_id: str

    @property
    def key(self) -> str:
        """Each opening is an event of its own."""
        return f"event/{self.team}/{self.event_id}"

    @property
    def lane(self) -> str:
        """Openings of one person keep their order."""
        return f"opened/{self.user}"


@dataclass(frozen=True)
class Promotion:
    """An adapter went live by this proposal: the channel and those who taught it are to be told."""

    kind: ClassVar[str] = "promotion"
    proposal_id: str

    @property
    def key(self) -> str:
        """Told once, whoever notices it first."""
        return f"promotion/{self.proposal_id}"

    @property
    def lane(self) -> str:
        """After the decision that led to it."""
        return self.proposal_id


@dataclass(frozen=True)
class StageBegun:
    """By this proposal an adapter waits, is in shadow, or answers a share of people: the approvers' channel is told."""

    kind: ClassVar[str] = "stage_begun"
    proposal_id: str
    stage: Stage

    @property
    def key(self) -> str:
        """Told once, whoever notices it first."""
        return f"{self.stage}_begun/{self.proposal_id}"

    @property
    def lane(self) -> str:
        """After the decision that led to it."""
        return self.proposal_id


@dataclass(frozen=True)
class TakenOut:
    """An adapter was rolled back, by a person or by itself: the approvers' channel is to be told."""

    kind: ClassVar[str] = "taken_out"
    rollback_id: str

    @property
    def key(self) -> str:
        """Told once, whoever notices it first."""
        return f"taken_out/{self.rollback_id}"

    @property
    def lane(self) -> str:
        """One after the other, as they happened."""
        return "taken_out"


@dataclass(frozen=True)
class News:
    """One person is to be told that what they corrected is live."""

    kind: ClassVar[str] = "news"
    proposal_id: str
    person_id: str

    @property
    def key(self) -> str:
        """A person is told once of each adapter."""
        return f"news/{self.proposal_id}/{self.person_id}"

    @property
    def lane(self) -> str:
        """Messages to one person keep their order."""
        return f"news/{self.person_id}"


@dataclass(frozen=True)
class Uninstalled:
    """A workspace removed the app. It is no job in that workspace, where nothing can be done any more."""

    kind: ClassVar[str] = "uninstalled"
    workspace: str
    at: int
    event_id: str

    @property
    def key(self) -> str:
        """Two events tell of it; the second finds nothing left to do."""
        return f"event/{self.workspace}/{self.event_id}"

    @property
    def lane(self) -> str:
        """One after the other."""
        return f"uninstalled/{self.workspace}"


def lane_of_groups(team: str) -> str:
    """Name the lane of what Slack tells of a workspace's user groups."""
    return f"groups/{team}"


@dataclass(frozen=True)
class GroupsChanged:
    """Something about the user groups of a workspace is another; who is in them is read again."""

    kind: ClassVar[str] = "groups_changed"
    team: str
    event_id: str

    @property
    def key(self) -> str:
        """Each change is an event of its own."""
        return f"event/{self.team}/{self.event_id}"

    @property
    def lane(self) -> str:
        """One after the other."""
        return lane_of_groups(self.team)


@dataclass(frozen=True)
class Joined:
    """The bot was added to a channel."""

    kind: ClassVar[str] = "joined"
    team: str
    channel: str
    event_id: str

    @property
    def key(self) -> str:
        """Each time it is added is an event of its own."""
        return f"event/{self.team}/{self.event_id}"

    @property
    def lane(self) -> str:
        """What concerns a channel as a whole keeps its order."""
        return f"channel/{self.channel}"


@dataclass(frozen=True)
class SettingsChange:
    """Settings of a channel from the modal; that they are possible was checked before they were stored."""

    kind: ClassVar[str] = "settings_change"
    team: str
    channel: str
    user: str
    answers: str
    language: str
    domain: str
    trusted: list[str]
    view_id: str

    @property
    def key(self) -> str:
        """A view is submitted once."""
        return f"view/{self.team}/{self.view_id}"

    @property
    def lane(self) -> str:
        """Changes of a channel's settings keep their order."""
        return f"channel/{self.channel}"

    @property
    def settings(self) -> ChannelSettings:
        """What the channel is to be set to."""
        answers = cast("Answers", self.answers)
        return ChannelSettings(answers, self.language, self.domain, tuple(self.trusted))


@dataclass(frozen=True)
class Stop:
    """A click on Slack's Stop button in a thread in which an answer is being given."""

    kind: ClassVar[str] = "stop"
    team: str
    channel: str
    user: str
    thread_ts: str
    event_id: str

    @property
    def key(self) -> str:
        """Each click is an event of its own."""
        return f"event/{self.team}/{self.event_id}"

    @property
    def lane(self) -> str:
        """Its own: the thread's lane is busy with the answer."""
        return f"stop/{self.channel}/{self.thread_ts}"


@dataclass(frozen=True)
class Refusal:
    """A question over a limit. Its asker is told `sentence`; the limit holds until `until`, in seconds since 1970."""

    kind: ClassVar[str] = "refusal"
    team: str
    channel: str
    user: str
    ts: str
    thread_ts: str
    sentence: str
    until: float

    @property
    def key(self) -> str:
        """That of the question, which is not asked again by a second delivery."""
        return f"message/{self.team}/{self.channel}/{self.ts}"

    @property
    def lane(self) -> str:
        """Its own: the thread's lane may be busy for long."""
        return f"refusal/{self.user}"


Saying = Vote | Reaction | Reason | Correction | Reply | Preference | Withdrawal
"""What a person says of an answer."""
Job = (
    Question
    | Saying
    | Decision
    | PolicyVote
    | PolicyWithdrawal
    | RollbackRequest
    | Review
    | ReviewNews
    | Cancellation
    | Opened
    | Promotion
    | StageBegun
    | TakenOut
    | GlassBroken
    | GlassAnswer
    | News
    | Command
    | DataRequest
    | NewsChoice
    | GroupsChanged
    | Joined
    | SettingsChange
    | Stop
    | Refusal
    | Uninstalled
)
KINDS: dict[str, type[Job]] = {job.kind: job for job in get_args(Job)}

LASTING = frozenset({Promotion.kind, News.kind, StageBegun.kind, TakenOut.kind, GlassBroken.kind})
"""Kinds that we make ourselves, again at each start, from what the database says; their keys are kept for good."""


def as_payload(job: Job) -> dict[str, Any]:
    """Give the job as the inbox keeps it."""
    return asdict(job)


def from_payload(kind: str, payload: Mapping[str, Any]) -> Job:
    """Give back a job from the inbox."""
    return KINDS[kind](**payload)


def feedback_id_of(job: Vote | Reaction | Reason | Correction) -> str:
    """Return the id of the feedback that a job records: the same whenever it is done, and one for each reply."""
    said = job.key
    if isinstance(job, Correction) and job.reply_ts:
        said = reply_key(job.team, job.channel, job.reply_ts)
    return "fb_" + hashlib.sha256(said.encode()).hexdigest()[:16]


def job_of_event(  # noqa: PLR0911 - a line for each kind of event
    body: Mapping[str, Any], hearing: Hearing = Hearing()
) -> Job | None:
    """Return the work that an Events API body asks for; None when nothing follows from it."""
    event = body["event"]
    bot_user = next((entry["user_id"] for entry in body.get("authorizations", []) if entry.get("is_bot")), "")
    team = body["team_id"]
    match event["type"]:
        case "app_home_opened":
            return Opened(team, event["channel"], event["user"], event.get("tab", "home"), body["event_id"])
        case "reaction_added" | "reaction_removed":
            return reaction_of(body, bot_user)
        case "member_joined_channel" if event["user"] == bot_user:
            return Joined(team, event["channel"], body["event_id"])
        case "message" | "app_mention":
            return _written(team, event, bot_user, hearing)
        case "agent_session_stopped":
            return Stop(team, event["channel"], event["user"], event["thread_ts"], body["event_id"])
        case "subteam_created" | "subteam_updated" | "subteam_members_changed":
            return GroupsChanged(team, body["event_id"])
        case "app_uninstalled":
            return Uninstalled(team, body["event_time"], body["event_id"])
        case "tokens_revoked" if event["tokens"].get("bot"):
            return Uninstalled(team, body["event_time"], body["event_id"])
    return None


def _written(team: str, event: Mapping[str, Any], bot_user: str, hearing: Hearing) -> Question | Reply | None:
    if not _is_somebodys(event, bot_user, hearing):
        return None
    text = event.get("text") or ""
    direct = event.get("channel_type") == "im" or event["channel"].startswith("D")
    mentioned = event["type"] == "app_mention" or bool(bot_user and f"<@{bot_user}" in text)
    heard = (team, event["channel"]) in hearing.channels
    question = Question(
        team=team,
        channel=event["channel"],
        user=event["user"],
        text=plain_text(text, bot_user),
        ts=event["ts"],
        thread_ts=event.get("thread_ts") or event["ts"],
        direct=direct,
        mentioned=mentioned or direct,
        user_team=event.get("user_team") or "",
    )
    if not event.get("bot_id") and question.thread_ts != question.ts and reads_like_a_correction(question.text):
        return _reply(question, heard=heard)
    return question if question.mentioned or heard else None


def _reply(question: Question, *, heard: bool) -> Reply:
    said = {name: value for name, value in asdict(question).items() if name not in {"begun", "insisted"}}
    return Reply(**said, heard=heard)


def _is_somebodys(event: Mapping[str, Any], bot_user: str, hearing: Hearing) -> bool:
    """Whether a person wrote this message just now, or an app that is heard; never the bot itself."""
    if not event.get("user") or event["user"] == bot_user or event.get("edited"):
        return False
    if event.get("bot_id"):  # without knowing who the bot is, this may be itself
        return hearing.bots and bool(bot_user) and event.get("subtype", "") in BOT_SUBTYPES
    return event.get("subtype", "") in PERSON_SUBTYPES


def plain_text(text: str, bot_user: str) -> str:
    """Turn Slack's escaped text into what the person typed, without the mention of the bot."""
    without_mention = re.sub(rf"<@{re.escape(bot_user)}(?:\|[^>]*)?>", " ", text)
    with_links = LINK.sub(lambda link: link[2] or link[1], without_mention)
    return re.sub(r"[ \t]+", " ", html.unescape(with_links)).strip()


def wish_of(command: Command) -> Wish:
    """Read what somebody wrote behind the slash command."""
    return read_wish(plain_text(command.text, ""))


def vote_of(body: Mapping[str, Any]) -> Vote:
    """Read a click on the feedback buttons."""
    action = body["actions"][0]
    interaction_id, _, verdict = action["value"].rpartition(":")
    return Vote(
        team=body["team"]["id"],
        channel=body["channel"]["id"],
        user=body["user"]["id"],
        interaction_id=interaction_id,
        verdict="up" if verdict == "up" else "down",
        thread_ts=_thread_of(body),
        action_ts=action["action_ts"],
    )


def correction_of(body: Mapping[str, Any]) -> Correction:
    """Read a submitted correction; its text is not checked here."""
    view = body["view"]
    about = json.loads(view["private_metadata"])
    return Correction(
        team=body["team"]["id"],
        channel=about["channel"],
        user=body["user"]["id"],
        interaction_id=about["interaction_id"],
        text=typed(view, names.CORRECTION_BLOCK),
        thread_ts=about["thread_ts"],
        view_id=view["id"],
        response_url=about.get("response_url", ""),
    )


def approval_of(body: Mapping[str, Any]) -> Decision:
    """Read a click on Approve."""
    action = body["actions"][0]
    return Decision(
        proposal_id=action["value"], verdict="approve", reason="", delivery=action["action_ts"], **clicked(body)
    )


def cancellation_of(body: Mapping[str, Any]) -> Cancellation:
    """Read a confirmed click on the button of a training run."""
    action = body["actions"][0]
    return Cancellation(run_id=action["value"], action_ts=action["action_ts"], **clicked(body))


def rejection_of(body: Mapping[str, Any]) -> Decision:
    """Read a submitted reason for a rejection; that it is not empty is checked elsewhere."""
    return Decision(verdict="reject", **explained(body))


def settings_of(body: Mapping[str, Any]) -> SettingsChange:
    """Read submitted settings of a channel; whether they are possible is checked elsewhere."""
    view = body["view"]
    about, given = json.loads(view["private_metadata"]), view["state"]["values"]
    return SettingsChange(
        team=about["team"],
        channel=about["channel"],
        user=body["user"]["id"],
        answers=_chosen(given, names.ANSWERS_BLOCK),
        language=_chosen(given, names.LANGUAGE_BLOCK),
        domain=typed(view, names.DOMAIN_BLOCK).strip().lower(),
        trusted=sorted(given[names.TRUSTED_BLOCK][names.INPUT_ACTION].get("selected_users") or []),
        view_id=view["id"],
    )


def _chosen(given: Mapping[str, Any], block_id: str) -> str:
    return str((given[block_id][names.INPUT_ACTION].get("selected_option") or {}).get("value", ""))


def place_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return channel and ts of the message that was acted on, also where that was in a modal opened from it."""
    if "message" in body:
        return body["channel"]["id"], body["message"]["ts"]
    about = json.loads(body["view"]["private_metadata"])
    return about["channel"], about["message_ts"]


def acceptance_of(body: Mapping[str, Any]) -> Review:
    """Read a click on Accept, at a correction's message or in the modal that shows it in full."""
    action = body["actions"][0]
    channel, message_ts = place_of(body)
    return Review(
        team=body["team"]["id"],
        channel=channel,
        user=body["user"]["id"],
        feedback_id=action["value"],
        verdict="accept",
        reason="",
        delivery=action["action_ts"],
        message_ts=message_ts,
    )


def declination_of(body: Mapping[str, Any]) -> Review:
    """Read a submitted reason why a correction is declined; that it is not empty is checked elsewhere."""
    view = body["view"]
    channel, message_ts = place_of(body)
    return Review(
        team=body["team"]["id"],
        channel=channel,
        user=body["user"]["id"],
        feedback_id=json.loads(view["private_metadata"])["feedback_id"],
        verdict="decline",
        reason=typed(view, names.REASON_BLOCK).strip(),
        delivery=view["id"],
        message_ts=message_ts,
    )


def _thread_of(body: Mapping[str, Any]) -> str:
    """Return the thread of the message that was clicked; Slack sends none of what only one person sees."""
    message = body.get("message")
    return str(message.get("thread_ts") or message["ts"]) if message else str(body["container"].get("thread_ts") or "")
