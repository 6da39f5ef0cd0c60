"""What a workspace is made of: members, channels, messages, views, and the one app that is installed in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Blocks = list[Json]

COLOURS = ("#3b6ea5", "#9b4f96", "#2f7d5b", "#b5652b", "#5a5fc7", "#a8434f", "#3f7f8c", "#7a6a2f")


@dataclass(frozen=True)
class Member:
    """A person, or the app's bot user."""

    id: str
    name: str
    real_name: str
    title: str = ""
    is_bot: bool = False


@dataclass
class Channel:
    """A channel or a direct message; `members` are user ids."""

    id: str
    name: str
    members: tuple[str, ...]
    is_private: bool = False
    is_im: bool = False
    topic: str = ""

    @property
    def kind(self) -> str:
        """Slack's `channel_type` in events."""
        return "im" if self.is_im else "group" if self.is_private else "channel"


@dataclass(frozen=True)
class AppDefinition:
    """The installed app: tokens, granted scopes, subscribed events, shortcuts (callback id, name) and commands."""

    name: str
    bot_token: str
    app_token: str
    scopes: frozenset[str]
    events: frozenset[str]
    shortcuts: tuple[tuple[str, str], ...] = ()
    commands: tuple[str, ...] = ()
    bot_user: str = "UAPPBOT"
    bot_id: str = "BAPPBOT"
    app_id: str = "ALOCALAPP"


@dataclass
class Message:
    """One message. `seen_by` is set for one that only this person sees; `markdown`: the text is standard markdown."""

    ts: str
    channel: str
    user: str
    text: str
    thread_ts: str | None = None
    blocks: Blocks = field(default_factory=list)
    bot_id: str | None = None
    edited: bool = False
    streaming: bool = False
    markdown: bool = False
    seen_by: str | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    metadata: Json = field(default_factory=dict)

    def public(self) -> Json:
        """Return the message as Slack's API gives it, with what the page needs besides."""
        shown: Json = {
            "type": "message",
            "ts": self.ts,
            "channel": self.channel,
            "user": self.user,
            "text": self.text,
            "streaming": self.streaming,
            "markdown": self.markdown,
            "ephemeral": self.seen_by is not None,
            "reactions": [
                {"name": name, "users": users, "count": len(users)} for name, users in self.reactions.items() if users
            ],
        }
        optional = {
            "thread_ts": self.thread_ts,
            "blocks": self.blocks,
            "bot_id": self.bot_id,
            "metadata": self.metadata,
        }
        if self.edited:
            optional["edited"] = {"user": self.user}
        return shown | {key: value for key, value in optional.items() if value}


@dataclass
class Faults:
    """What goes wrong on purpose, for tests: counts are used up, one a call, event or acknowledgement.

    Of the next calls some are refused (`rate_limit_next`), some fail with HTTP 500 and are not done (`fail_next`), some
    are done, and the connection breaks before the answer (`drop_next`). An acknowledgement that is lost
    (`lose_acks_next`) counts as one that never came.
    """

    rate_limit_next: int = 0
    retry_after: int = 1
    fail_next: int = 0
    drop_next: int = 0
    delay_ms: int = 0
    redeliver_next: int = 0
    lose_acks_next: int = 0

    def use_up(self, name: str) -> bool:
        """Whether this goes wrong now; if so, it does once less."""
        left: int = getattr(self, name)
        setattr(self, name, max(left - 1, 0))
        return left > 0


def new_view(content: Mapping[str, Any], view_id: str, app: AppDefinition, team: str, view_hash: str) -> Json:
    """Complete a view that the app sent to what Slack gives back."""
    return {
        "private_metadata": "",
        "callback_id": "",
        "external_id": "",
        "clear_on_close": False,
        "notify_on_close": False,
        "previous_view_id": None,
        **content,
        "id": view_id,
        "root_view_id": view_id,
        "team_id": team,
        "app_id": app.app_id,
        "bot_id": app.bot_id,
        "hash": view_hash,
        "state": {"values": {}},
    }
