"""The jobs of feedback beyond the buttons of an answer. Pure, like `bot.slack.jobs`, which has the rest.

Reactions to an answer, what is wrong with one, which of two is better, feedback taken back, and replies that read like
a correction.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

from storage.comparisons import Preferred

VERDICTS: Mapping[str, Literal["up", "down"]] = {"+1": "up", "thumbsup": "up", "-1": "down", "thumbsdown": "down"}
"""The emoji that are a vote, without the tone of their skin."""
CORRECTION = re.compile(r"(?:actually\b|correction\s*[:\-\u2013\u2014])[\s,;:\-\u2013\u2014]*", re.IGNORECASE)
"""How a reply begins that says what the answer should have been; some keyboards make a dash of the hyphen."""


@dataclass(frozen=True)
class Reaction:
    """A thumb that was put on a message of ours (`added`), or taken off it; `thread_ts` is looked up, not told."""

    kind: ClassVar[str] = "reaction"
    team: str
    channel: str
    user: str
    message_ts: str
    verdict: Literal["up", "down"]
    added: bool
    event_id: str
    thread_ts: str = ""

    @property
    def key(self) -> str:
        """Each reaction counts; Slack delivers it again under the same id."""
        return f"event/{self.team}/{self.event_id}"

    @property
    def lane(self) -> str:
        """Reactions, clicks and answers of a thread keep their order."""
        return f"{self.channel}/{self.thread_ts}"


@dataclass(frozen=True)
class Reason:
    """What is wrong with an answer, chosen by somebody who voted against it; `feedback_id` is that vote."""

    kind: ClassVar[str] = "reason"
    team: str
    channel: str
    user: str
    feedback_id: str
    reason: str
    thread_ts: str
    action_ts: str
    response_url: str

    @property
    def key(self) -> str:
        """Each choice counts: a person may choose again."""
        return f"reason/{self.team}/{self.user}/{self.feedback_id}/{self.action_ts}"

    @property
    def lane(self) -> str:
        """After the vote."""
        return f"{self.channel}/{self.thread_ts}"


@dataclass(frozen=True)
class Preference:
    """A click on one of the four buttons under two answers."""

    kind: ClassVar[str] = "preference"
    team: str
    channel: str
    user: str
    comparison_id: str
    preferred: Preferred
    thread_ts: str
    action_ts: str
    response_url: str

    @property
    def key(self) -> str:
        """One click; of several the first stands."""
        return f"preference/{self.team}/{self.user}/{self.comparison_id}/{self.action_ts}"

    @property
    def lane(self) -> str:
        """In order with what takes it back."""
        return f"{self.channel}/{self.thread_ts}"


@dataclass(frozen=True)
class Withdrawal:
    """A click on Undo: `feedback_id` is to be taken back."""

    kind: ClassVar[str] = "withdrawal"
    team: str
    channel: str
    user: str
    feedback_id: str
    thread_ts: str
    action_ts: str
    response_url: str

    @property
    def key(self) -> str:
        """One click."""
        return f"withdrawal/{self.team}/{self.user}/{self.feedback_id}/{self.action_ts}"

    @property
    def lane(self) -> str:
        """In order with what it takes back."""
        return f"{self.channel}/{self.thread_ts}"


@dataclass(frozen=True)
class Reply:
    """A reply in a thread that begins like a correction.

    `mentioned` and `user_team` are as in a question; `heard`: without a mention it would be a question too, and is one
    if there is nothing that it could correct. `interaction_id` is the answer that it corrects, noted once it was found;
    until the person has said what is meant, the text is kept here, in the inbox.
    """

    kind: ClassVar[str] = "reply"
    team: str
    channel: str
    user: str
    text: str
    ts: str
    thread_ts: str
    direct: bool
    mentioned: bool
    user_team: str
    heard: bool
    interaction_id: str = ""

    @property
    def key(self) -> str:
        """The message, as with questions."""
        return reply_key(self.team, self.channel, self.ts)

    @property
    def lane(self) -> str:
        """After the answer that it corrects."""
        return f"{self.channel}/{self.thread_ts}"

    @property
    def corrected(self) -> str:
        """What the answer should have been: the text without its beginning; empty when nothing follows."""
        return without_beginning(self.text)


def reply_key(team: str, channel: str, ts: str) -> str:
    """Compose the key under which the inbox has a reply."""
    return f"message/{team}/{channel}/{ts}"


def reads_like_a_correction(text: str) -> bool:
    """Whether a text begins as a correction does."""
    return CORRECTION.match(text) is not None


def without_beginning(text: str) -> str:
    """Return what follows the beginning of a correction; nothing when that has neither letters nor digits."""
    rest = CORRECTION.sub("", text, count=1).strip()
    return rest if re.search(r"\w", rest) else ""


def reaction_of(body: Mapping[str, Any], bot_user: str) -> Reaction | None:
    """Read a reaction; None when it is no vote, not on a message of ours, or our own."""
    event = body["event"]
    item = event.get("item") or {}
    verdict = VERDICTS.get(str(event.get("reaction")).partition("::")[0])
    on_ours = item.get("type") == "message" and event.get("item_user") == bot_user
    if verdict is None or not on_ours or event.get("user") in {None, "", bot_user}:
        return None
    return Reaction(
        team=body["team_id"],
        channel=item["channel"],
        user=event["user"],
        message_ts=item["ts"],
        verdict=verdict,
        added=event["type"] == "reaction_added",
        event_id=body["event_id"],
    )


def reason_of(body: Mapping[str, Any]) -> Reason:
    """Read a choice of what is wrong with an answer."""
    action = body["actions"][0]
    feedback_id, _, reason = action["selected_option"]["value"].rpartition(":")
    return Reason(feedback_id=feedback_id, reason=reason, action_ts=action["action_ts"], **_where(body))


def preference_of(body: Mapping[str, Any]) -> Preference:
    """Read a choice between two answers."""
    action = body["actions"][0]
    comparison_id, _, preferred = action["value"].rpartition(":")
    return Preference(
        comparison_id=comparison_id,
        preferred=cast("Preferred", preferred),
        action_ts=action["action_ts"],
        **_where(body),
    )


def withdrawal_of(body: Mapping[str, Any]) -> Withdrawal:
    """Read a click on Undo."""
    action = body["actions"][0]
    return Withdrawal(feedback_id=action["value"], action_ts=action["action_ts"], **_where(body))


def _where(body: Mapping[str, Any]) -> dict[str, str]:
    """Say who clicked, and where; of a message that only one person sees, Slack tells no more than its container.

    The response URL is good for half an hour and for answers to this one click; without it, such a message cannot be
    changed.
    """
    container = body["container"]
    return {
        "team": body["team"]["id"],
        "channel": body["channel"]["id"],
        "user": body["user"]["id"],
        "thread_ts": container.get("thread_ts") or container["message_ts"],
        "response_url": body["response_url"],
    }
