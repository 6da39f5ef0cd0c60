"""What a workspace is made of: members, channels, messages, views, and the one app that is installed in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
Blocks = list[Json]

COLOURS = ("#3b6ea5", "#9b4f96", "#2f7d5b", "#b5652b", "#5a5fc7", "#a8434f", "#3f7f8c", "#7a6a2f")


@dataclass(frozen=True)
class Member:
    """A person, the app's bot user, or the bot of another app.

    `team_id` is set for somebody of another organisation, `display_name` for a person who chose one. A guest is in some
    channels only, and an ultra guest in a single one.
    """

    id: str
    name: str
    real_name: str
    title: str = ""
    is_bot: bool = False
    display_name: str = ""
    time_zone: str = "Etc/UTC"
    team_id: str = ""
    is_guest: bool = False
    is_ultra_guest: bool = False


@dataclass
class Channel:
    """A channel, or direct messages of two people or (`is_mpim`) several; `members` are user ids."""

    id: str
    name: str
    members: tuple[str, ...]
    is_private: bool = False
    is_im: bool = False
    topic: str = ""
    is_mpim: bool = False
    is_ext_shared: bool = False

    @property
    def kind(self) -> str:
        """Slack's `channel_type` in events."""
        return "im" if self.is_im else "mpim" if self.is_mpim else "group" if self.is_private else "channel"


@dataclass
class UserGroup:
    """A user group; `users` are ids of members. Times are seconds since 1970; `date_delete` is 0 while it is on."""

    id: str
    handle: str
    name: str
    users: tuple[str, ...]
    created_by: str
    updated_by: str
    date_create: int
    date_update: int
    date_delete: int = 0


@dataclass(frozen=True)
class AppDefinition:
    """The installed app: tokens, granted scopes, subscribed events, shortcuts (callback id, name) and commands.

    With a `request_url` the app is sent signed requests; without one it opens sockets. With a `client_id` and no bot
    token it is not installed yet: a member does that on Slack's page, which leads back to `redirect_url`.
    """

    name: str
    bot_token: str
    app_token: str
    scopes: frozenset[str]
    events: frozenset[str]
    shortcuts: tuple[tuple[str, str], ...] = ()
    commands: tuple[str, ...] = ()
    request_url: str = ""
    signing_secret: str = ""
    client_id: str = ""
    client_secret: str = ""
    redirect_url: str = ""
    bot_user: str = "UAPPBOT"
    bot_id: str = "BAPPBOT"
    app_id: str = "ALOCALAPP"


@dataclass
class Message:
    """One message. `seen_by` is set for one that only this person sees; `markdown`: the text is standard markdown.

    `pressed` says which feedback button each person has pressed: user id -> action id -> value.
    `tasks` are the task lines that a stream showed, as Slack's chunks have them.
    """

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
    pressed: dict[str, dict[str, str]] = field(default_factory=dict)
    tasks: list[Json] = field(default_factory=list)

    def public(self, *, metadata: bool = True) -> Json:
        """Return the message as Slack's API gives it; with its metadata only where that is asked for."""
        told: Json = {"type": "message", "ts": self.ts, "user": self.user, "text": self.text}
        optional = {
            "thread_ts": self.thread_ts,
            "blocks": self.blocks,
            "bot_id": self.bot_id,
            "metadata": self.metadata if metadata else None,
            "reactions": [
                {"name": name, "users": users, "count": len(users)} for name, users in self.reactions.items() if users
            ],
            "edited": {"user": self.user} if self.edited else None,
        }
        return told | {key: value for key, value in optional.items() if value}

    def shown(self, user: str = "") -> Json:
        """Return the message as the page draws it, with what `user` has pressed in it."""
        return self.public() | {
            "channel": self.channel,
            "streaming": self.streaming,
            "markdown": self.markdown,
            "ephemeral": self.seen_by is not None,
            "tasks": self.tasks,
            "pressed": self.pressed.get(user, {}),
        }


@dataclass
class Faults:
    """What goes wrong on purpose. What ends in `next` is a count, used up by one a call, event or acknowledgement.

    `rate_limit_next` calls are refused with 429 and `retry_after` seconds; `fail_next` get HTTP 500 and are not done;
    `drop_next` are done, but the connection is cut before the answer; `hang_next` are done, and the answer never comes.
    `refuse_sockets_next` calls for the address of a socket get the HTTP status `refuse_status`. `redeliver_next` events
    come twice; `refuse_ack_next` acknowledgements get lost on their way. `rate_limits` keeps the app to Slack's
    published limits, `delay_ms` holds every call and event up; with `no_tasks` streams take no task lines, as in a
    workspace that does not have them.
    """

    rate_limit_next: int = 0
    retry_after: int = 1
    fail_next: int = 0
    drop_next: int = 0
    hang_next: int = 0
    redeliver_next: int = 0
    refuse_sockets_next: int = 0
    refuse_status: int = 500
    refuse_ack_next: int = 0
    delay_ms: int = 0
    rate_limits: bool = False
    no_tasks: bool = False


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
