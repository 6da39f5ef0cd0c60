"""What Slack sent, reduced to the work that follows from it. Pure: bodies in, jobs out; the inbox keeps the jobs.

A job's `key` is the same for each delivery of one thing, so that the inbox stores it once. Its `lane` names what
must be handled in order: a thread, or a proposal. Only what the work needs is kept of a body, so neither tokens nor
other people's data reach the database.
"""

import html
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from bot.slack import names

PERSON_SUBTYPES = {"", "file_share", "thread_broadcast"}
"""Message subtypes that are something a person wrote; all others are edits, deletions, joins, bots."""
LINK = re.compile(r"<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>")


@dataclass(frozen=True)
class Question:
    """A message to be answered. `begun` are the messages that a process which died had begun to write, if any."""

    kind: ClassVar[str] = "question"
    team: str
    channel: str
    user: str
    text: str
    ts: str
    thread_ts: str
    direct: bool
    begun: list[str] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Channel and ts: a mention arrives as `app_mention` and as `message`, each with its own event id."""
        return f"message/{self.team}/{self.channel}/{self.ts}"

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
    """A corrected answer from the modal; its text was checked before it was stored."""

    kind: ClassVar[str] = "correction"
    team: str
    channel: str
    user: str
    interaction_id: str
    text: str
    thread_ts: str
    view_id: str

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


Job = Question | Vote | Correction | Decision | Cancellation | Opened | Promotion | News
KINDS: dict[str, type[Job]] = {
    job.kind: job for job in (Question, Vote, Correction, Decision, Cancellation, Opened, Promotion, News)
}

LASTING = frozenset({Promotion.kind, News.kind})
"""Kinds that we make ourselves, again at each start, from what the database says; their keys are kept for good."""


def as_payload(job: Job) -> dict[str, Any]:
    """Give the job as the inbox keeps it."""
    return asdict(job)


def from_payload(kind: str, payload: Mapping[str, Any]) -> Job:
    """Give back a job from the inbox."""
    return KINDS[kind](**payload)


def job_of_event(body: Mapping[str, Any]) -> Job | None:
    """Return the work that an Events API body asks for; None when nothing follows from it."""
    event = body["event"]
    bot_user = next((entry["user_id"] for entry in body.get("authorizations", []) if entry.get("is_bot")), "")
    if event["type"] == "app_home_opened":
        return Opened(body["team_id"], event["channel"], event["user"], event.get("tab", "home"), body["event_id"])
    if event["type"] in {"message", "app_mention"}:
        return _question(body["team_id"], event, bot_user)
    return None


def _question(team: str, event: Mapping[str, Any], bot_user: str) -> Question | None:
    user, text = event.get("user", ""), event.get("text") or ""
    written_by_a_person = user and user != bot_user and not event.get("bot_id") and not event.get("edited")
    if not written_by_a_person or event.get("subtype", "") not in PERSON_SUBTYPES:
        return None
    direct = event.get("channel_type") == "im" or event["channel"].startswith("D")
    mentioned = event["type"] == "app_mention" or (bot_user and f"<@{bot_user}" in text)
    if not direct and not mentioned:
        return None
    return Question(
        team=team,
        channel=event["channel"],
        user=user,
        text=plain_text(text, bot_user),
        ts=event["ts"],
        thread_ts=event.get("thread_ts") or event["ts"],
        direct=direct,
    )


def plain_text(text: str, bot_user: str) -> str:
    """Turn Slack's escaped text into what the person typed, without the mention of the bot."""
    without_mention = re.sub(rf"<@{re.escape(bot_user)}(?:\|[^>]*)?>", " ", text)
    with_links = LINK.sub(lambda link: link[2] or link[1], without_mention)
    return re.sub(r"[ \t]+", " ", html.unescape(with_links)).strip()


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
        thread_ts=_thread_of(body["message"]),
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
        text=_typed(view, names.CORRECTION_BLOCK),
        thread_ts=about["thread_ts"],
        view_id=view["id"],
    )


def approval_of(body: Mapping[str, Any]) -> Decision:
    """Read a click on Approve."""
    action = body["actions"][0]
    return Decision(
        team=body["team"]["id"],
        channel=body["channel"]["id"],
        user=body["user"]["id"],
        proposal_id=action["value"],
        verdict="approve",
        reason="",
        delivery=action["action_ts"],
        message_ts=body["message"]["ts"],
    )


def cancellation_of(body: Mapping[str, Any]) -> Cancellation:
    """Read a confirmed click on the button of a training run."""
    action = body["actions"][0]
    return Cancellation(
        team=body["team"]["id"],
        channel=body["channel"]["id"],
        user=body["user"]["id"],
        run_id=action["value"],
        message_ts=body["message"]["ts"],
        action_ts=action["action_ts"],
    )


def rejection_of(body: Mapping[str, Any]) -> Decision:
    """Read a submitted reason for a rejection; that it is not empty is checked elsewhere."""
    view = body["view"]
    about = json.loads(view["private_metadata"])
    return Decision(
        team=body["team"]["id"],
        channel=about["channel"],
        user=body["user"]["id"],
        proposal_id=about["proposal_id"],
        verdict="reject",
        reason=_typed(view, names.REASON_BLOCK).strip(),
        delivery=view["id"],
        message_ts=about.get("message_ts", ""),
    )


def _typed(view: Mapping[str, Any], block_id: str) -> str:
    return str(view["state"]["values"][block_id][names.INPUT_ACTION].get("value") or "")


def _thread_of(message: Mapping[str, Any]) -> str:
    return str(message.get("thread_ts") or message["ts"])
