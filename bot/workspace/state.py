"""The workspace's state and every change to it. Whoever is told of a change (pages, the app) is told from here."""

import asyncio
import itertools
import json
import logging
import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.workspace import events
from bot.workspace.events import Event
from bot.workspace.limits import RateLimits
from bot.workspace.model import COLOURS, AppDefinition, Channel, Faults, Json, Member, Message, UserGroup, new_view
from storage.records import Clock, utc_now

log = logging.getLogger(__name__)

TRIGGER_SECONDS = 3.0
STREAM_SECONDS = 300.0
STATUS_SECONDS = 120.0
SAVE_SECONDS = 0.5
RESPONSE_SECONDS = 1_800.0
RESPONSE_USES = 5
STOPPED = "agent_session_stopped"

Deliver = Callable[[str, Json, bool], None]
"""Takes an envelope's type, its payload, and whether a payload is expected in the acknowledgement."""


@dataclass
class ResponseUrl:
    """Where an answer to an interaction goes, until when, and how often still."""

    channel: str
    user: str
    ts: str | None
    ends: float
    uses: int = RESPONSE_USES


class Workspace:
    """One team with one installed app. Used from one event loop."""

    def __init__(
        self,
        team_id: str,
        team_name: str,
        members: Iterable[Member],
        channels: Iterable[Channel],
        app: AppDefinition,
        clock: Clock = utc_now,
    ) -> None:
        self.team_id = team_id
        self.team_name = team_name
        self.app = app
        self.address = "http://localhost"
        """Where this workspace is served, without a slash at the end; told by each call that comes in."""
        bot = Member(app.bot_user, app.name.lower(), app.name, "App", is_bot=True)
        self.members = {member.id: member for member in (*members, bot)}
        self.channels = {
            channel.id: replace(channel, members=tuple(dict.fromkeys((*channel.members, bot.id))))
            for channel in channels
        }
        self.clock = clock
        self.history: dict[str, dict[str, Message]] = defaultdict(dict)
        self.user_groups: dict[str, UserGroup] = {}
        self.views: dict[str, tuple[str, Json]] = {}
        self.homes: dict[str, Json] = {}
        self._statuses: dict[tuple[str, str], tuple[str, float]] = {}
        self.sessions: dict[tuple[str, str], str] = {}
        self.stream_modes: dict[tuple[str, str], str] = {}
        self.guide: Json | None = None
        self.faults = Faults()
        self.rate_limits = RateLimits(self._now)
        self.deliver: Deliver = lambda _kind, _payload, _answers: None
        self.unacknowledged: Callable[[], list[Json]] = list
        self.undelivered: list[Json] = []
        self._triggers: dict[str, tuple[str, float]] = {}
        self._used_triggers: set[str] = set()
        self._response_urls: dict[str, ResponseUrl] = {}
        self._tickets: set[str] = set()
        self._codes: dict[str, str] = {}
        self.revoked: set[str] = set()
        self._watchers: set[asyncio.Future[None]] = set()
        self._stream_ends: dict[tuple[str, str], float] = {}
        self._stopped: set[tuple[str, str]] = set()
        self._pages: dict[str, set[asyncio.Queue[Json]]] = defaultdict(set)
        self._last_ts = 0
        self._numbers = itertools.count(1)
        self._file: Path | None = None
        self._saving: asyncio.TimerHandle | None = None

    @property
    def bot_user(self) -> str:
        """The user id of the app's bot."""
        return self.app.bot_user

    # Reading

    def messages(self, channel: str, thread_ts: str | None = None) -> list[Message]:
        """Return a channel's messages, oldest first; with `thread_ts` only the replies in that thread."""
        found = self.history.get(channel, {}).values()
        if thread_ts is None:
            return list(found)
        return [message for message in found if message.thread_ts == thread_ts and message.ts != thread_ts]

    def find_message(self, channel: str, ts: str) -> Message | None:
        """Return one message."""
        return self.history.get(channel, {}).get(ts)

    def find_view(self, external_id: str) -> str:
        """Return the id of the open modal to which the app gave this id; empty when there is none."""
        return next(
            (key for key, (_, view) in self.views.items() if external_id and view["external_id"] == external_id), ""
        )

    def open_views(self, user: str) -> list[Json]:
        """Return the modals that a person has open, the newest last."""
        return [view for owner, view in self.views.values() if owner == user]

    def team_of(self, user: str) -> str:
        """Return the workspace that a member belongs to."""
        return self.members[user].team_id or self.team_id

    def describe_user(self, member: Member) -> Json:
        """Return a member as `users.info` gives it."""
        return {
            "id": member.id,
            "team_id": self.team_of(member.id),
            "name": member.name,
            "real_name": member.real_name,
            "is_bot": member.is_bot,
            "is_restricted": member.is_guest or member.is_ultra_guest,
            "is_ultra_restricted": member.is_ultra_guest,
            "deleted": False,
            "tz": member.time_zone,
            "tz_offset": self._offset(member.time_zone),
            "color": COLOURS[sum(member.id.encode()) % len(COLOURS)].removeprefix("#"),
            "profile": {
                "real_name": member.real_name,
                "display_name": member.display_name,
                "title": member.title,
                **({"email": f"{member.name}@example.com"} if "users:read.email" in self.app.scopes else {}),
            },
        }

    def describe_channel(self, channel: Channel) -> Json:
        """Return a channel as `conversations.info` gives it."""
        described = {
            "id": channel.id,
            "name": channel.name,
            "is_channel": channel.kind == "channel",
            "is_group": channel.kind == "group",
            "is_im": channel.is_im,
            "is_mpim": channel.is_mpim,
            "is_private": channel.kind != "channel",
            "is_shared": channel.is_ext_shared,
            "is_ext_shared": channel.is_ext_shared,
            "is_archived": False,
            "is_member": self.bot_user in channel.members,
            "topic": {"value": channel.topic},
            "purpose": {"value": ""},
            "num_members": len(channel.members),
        }
        if channel.is_im:
            described["user"] = next((user for user in channel.members if user != self.bot_user), self.bot_user)
        return described

    def describe_user_group(self, group: UserGroup, *, users: bool, count: bool) -> Json:
        """Return a user group as `usergroups.list` gives it, with its users and their number if asked."""
        described = {
            "id": group.id,
            "team_id": self.team_id,
            "is_usergroup": True,
            "is_subteam": True,
            "name": group.name,
            "description": "",
            "handle": group.handle,
            "is_external": False,
            "date_create": group.date_create,
            "date_update": group.date_update,
            "date_delete": group.date_delete,
            "auto_type": None,
            "auto_provision": False,
            "enterprise_subteam_id": "",
            "created_by": group.created_by,
            "updated_by": group.updated_by,
            "deleted_by": group.updated_by if group.date_delete else None,
            "prefs": {"channels": [], "groups": []},
        }
        described |= {"users": list(group.users)} if users else {}
        return described | ({"user_count": len(group.users)} if count else {})

    # User groups

    def add_user_group(self, user: str, handle: str, name: str, users: Iterable[str]) -> UserGroup:
        """Make a user group, and tell the app."""
        now = int(self._now())
        key = f"S{secrets.token_hex(5).upper()}"
        group = UserGroup(key, handle, name, tuple(dict.fromkeys(users)), user, user, now, now)
        self.user_groups[key] = group
        self._tell_of_group("subteam_created", group)
        return group

    def change_user_group(
        self, user: str, group: UserGroup, users: Iterable[str] | None = None, *, is_on: bool | None = None
    ) -> None:
        """Change who is in a user group, or turn it off or on, and tell the app."""
        before, previous, now = group.users, group.date_update, int(self._now())
        group.updated_by, group.date_update = user, now
        group.users = before if users is None else tuple(dict.fromkeys(users))
        group.date_delete = group.date_delete if is_on is None else 0 if is_on else now
        self._tell_of_group("subteam_updated", group)
        if {*before} != {*group.users}:
            self._tell_if_wanted(events.of_group_members(group, before, previous, self.team_id, self.next_ts()))

    def _tell_of_group(self, kind: str, group: UserGroup) -> None:
        described = self.describe_user_group(group, users=True, count=True)
        self._tell_if_wanted(events.of_group(kind, described, self.next_ts()))
        self.save_soon()

    # Messages

    def next_ts(self) -> str:
        """Return a message timestamp that is later than every one before."""
        now = int(self.clock().timestamp() * 1_000_000)
        self._last_ts = max(now, self._last_ts + 1)
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def post(self, message: Message) -> Message:
        """Add a message, show it to who may see it, and tell the app of it."""
        self.history[message.channel][message.ts] = message
        self._show({"type": "message", "message": message.shown()}, message.channel, message.seen_by)
        replied = message.thread_ts if message.bot_id and message.seen_by is None else None
        if replied and self.status_of(message.channel, replied):
            self.set_status(message.channel, replied, "")
        if message.seen_by is None and not message.streaming:
            team = self.team_of(message.user)
            for event in events.of_message(message, self.channels[message.channel], self.app, team):
                self._tell_app(event, message.channel)
        return message

    def change(self, message: Message, **changes: Any) -> None:
        """Change a message and show it again; the app is told, unless the message was growing."""
        before, was_growing = message.public(), message.streaming
        for name, value in changes.items():
            setattr(message, name, value)
        self._show({"type": "message_changed", "message": message.shown()}, message.channel, message.seen_by)
        if message.seen_by is None and not was_growing:
            changed = events.of_change(before, message, self.channels[message.channel], self.next_ts())
            self._tell_app(changed, message.channel)

    def lose(self, message: Message) -> None:
        """Let a message vanish; the app is told nothing."""
        del self.history[message.channel][message.ts]
        gone = {"type": "message_deleted", "channel": message.channel, "ts": message.ts}
        self._show(gone, message.channel, message.seen_by)

    def delete(self, message: Message) -> None:
        """Remove a message."""
        self.lose(message)
        if message.seen_by is None:
            removed = events.of_removal(message, self.channels[message.channel], self.next_ts())
            self._tell_app(removed, message.channel)

    def react(self, user: str, message: Message, name: str, *, add: bool) -> bool:
        """Add or remove a reaction; return whether that changed anything."""
        users = message.reactions.setdefault(name, [])
        if (user in users) == add:
            return False
        users.append(user) if add else users.remove(user)
        shown = message.public().get("reactions", [])
        told = {"type": "reactions", "channel": message.channel, "ts": message.ts, "reactions": shown}
        self._show(told, message.channel, None)
        self._tell_app(events.of_reaction(user, message, name, self.next_ts(), added=add), message.channel)
        return True

    def join_channel(self, user: str, channel: Channel, inviter: str = "") -> None:
        """Make somebody a member of a channel, and tell the app unless they were one."""
        if user in channel.members:
            return
        channel.members = (*channel.members, user)
        self._show({"type": "channel", "channel": self.describe_channel(channel)}, channel.id, None)
        self._tell_app(events.of_joining(user, channel, self.team_id, self.next_ts(), inviter), channel.id)

    def add_channel(self, channel: Channel) -> Channel:
        """Add a channel; the app is no member of it until somebody invites it."""
        self.channels[channel.id] = channel
        self._show({"type": "channel", "channel": self.describe_channel(channel)}, channel.id, None)
        return channel

    def open_group(self, users: Iterable[str]) -> Channel:
        """Return the direct messages of several members, made on first use."""
        group = tuple(sorted(set(users)))
        for channel in self.channels.values():
            if channel.is_mpim and set(channel.members) == set(group):
                return channel
        name = f"mpdm-{'--'.join(self.members[user].name for user in group)}-1"
        key = f"G{secrets.token_hex(5).upper()}"
        return self.add_channel(Channel(key, name, group, is_private=True, is_mpim=True))

    def open_dm(self, user: str, other: str) -> Channel:
        """Return the direct messages of two members, made on first use."""
        pair = {user, other}
        for channel in self.channels.values():
            if channel.is_im and set(channel.members) == pair:
                return channel
        name = "-".join(sorted(pair))
        return self.add_channel(Channel(f"D{name}".replace("-", ""), name, tuple(sorted(pair)), is_im=True))

    def home_opened(self, user: str, channel: str, tab: str) -> None:
        """Tell the app that a person looks at its home, or opened the direct messages with it."""
        event: Json = {
            "type": "app_home_opened",
            "user": user,
            "channel": channel,
            "tab": tab,
            "event_ts": self.next_ts(),
        }
        if tab == "home" and user in self.homes:
            event["view"] = self.homes[user]
        self._tell_app(Event("app_home_opened", event), channel)

    # Streams

    def begin_stream(self, message: Message) -> None:
        """Post a message that grows until it is stopped, or until Slack would give the stream up."""
        self._stream_ends[message.channel, message.ts] = self._now() + STREAM_SECONDS
        self.post(message)

    def stream_is_open(self, message: Message) -> bool:
        """Whether the message still takes text."""
        return message.streaming and self._now() < self._stream_ends.get((message.channel, message.ts), 0.0)

    def was_stopped(self, message: Message) -> bool:
        """Whether a person stopped the message while it grew."""
        return (message.channel, message.ts) in self._stopped

    def end_streams(self) -> None:
        """Give up all streams, as Slack does after about five minutes: their messages take no more text."""
        for key in self._stream_ends:
            self._stream_ends[key] = 0.0

    # Status, sessions and prompts of assistant threads

    def set_status(self, channel: str, thread_ts: str, status: str, loading: Iterable[str] = ()) -> None:
        """Show what the app is doing in a thread, for two minutes at most; an empty status, or a reply, clears it."""
        self._statuses[channel, thread_ts] = (status, self._now() + STATUS_SECONDS)
        told = {"type": "status", "channel": channel, "thread_ts": thread_ts, "status": status}
        self._show({**told, "loading_messages": list(loading), "seconds": STATUS_SECONDS}, channel, None)

    def status_of(self, channel: str, thread_ts: str) -> str:
        """Return what the app says that it is doing in a thread; empty when that is nothing, or too long ago."""
        status, ends = self._statuses.get((channel, thread_ts), ("", 0.0))
        return status if self._now() < ends else ""

    def set_session(self, channel: str, thread_ts: str, status: str) -> None:
        """Note whether the app works in a thread; who sees it then has a Stop button, if the app hears of it."""
        self.sessions[channel, thread_ts] = status
        told = {"type": "session", "channel": channel, "thread_ts": thread_ts, "status": status}
        self._show(told | {"stoppable": self.is_stoppable(channel, thread_ts)}, channel, None)

    def is_stoppable(self, channel: str, thread_ts: str) -> bool:
        """Whether there is a Stop button in a thread."""
        return self.sessions.get((channel, thread_ts)) == "processing" and STOPPED in self.app.events

    def stop_session(self, user: str, channel: str, thread_ts: str) -> None:
        """End the app's streams in a thread, and tell the app that a person wants it to stop; the rest is up to it."""
        streams = [each for each in self.messages(channel, thread_ts) if self.stream_is_open(each)]
        for message in streams:
            self._stopped.add((channel, message.ts))
            self.change(message, streaming=False)
        content: Json = {
            "type": STOPPED,
            "channel": channel,
            "thread_ts": thread_ts,
            "user": user,
            "streaming_message_ts": [message.ts for message in streams],
            "event_ts": self.next_ts(),
        }
        self._tell_app(Event(STOPPED, content), channel)

    def set_prompts(self, channel: str, thread_ts: str, title: str, prompts: list[Json]) -> None:
        """Show suggested prompts."""
        told = {"type": "prompts", "channel": channel, "thread_ts": thread_ts, "title": title, "prompts": prompts}
        self._show(told, channel, None)

    # Views and triggers

    def new_trigger(self, user: str) -> str:
        """Make a trigger id, good for three seconds and one view."""
        trigger = f"{next(self._numbers)}.{secrets.token_hex(8)}"
        self._triggers[trigger] = (user, self._now() + TRIGGER_SECONDS)
        return trigger

    def use_trigger(self, trigger: str) -> tuple[str, str]:
        """Return (the user that it belongs to, "") or ("", Slack's error code)."""
        if trigger in self._used_triggers:
            return "", "exchanged_trigger_id"
        user, end = self._triggers.get(trigger, ("", 0.0))
        if not user:
            return "", "invalid_trigger_id"
        if self._now() > end:
            return "", "expired_trigger_id"
        del self._triggers[trigger]
        self._used_triggers.add(trigger)
        return user, ""

    def open_view(self, user: str, content: Json) -> Json:
        """Open a modal for a person."""
        view = new_view(content, f"V{secrets.token_hex(5).upper()}", self.app, self.team_id, self._hash())
        self.views[view["id"]] = (user, view)
        self.show_to(user, {"type": "view_opened", "view": view})
        return view

    def update_view(self, view_id: str, content: Json) -> Json:
        """Replace the content of an open modal."""
        user, _ = self.views[view_id]
        view = new_view(content, view_id, self.app, self.team_id, self._hash())
        self.views[view_id] = (user, view)
        self.show_to(user, {"type": "view_updated", "view": view})
        return view

    def close_view(self, view_id: str) -> None:
        """Close a modal."""
        user, _ = self.views.pop(view_id)
        self.show_to(user, {"type": "view_closed", "view_id": view_id})

    def publish_home(self, user: str, content: Json) -> Json:
        """Set what a person sees on the app's home tab."""
        view = new_view(content, f"VHOME{user}", self.app, self.team_id, self._hash())
        self.homes[user] = view
        self.show_to(user, {"type": "home", "view": view})
        return view

    def new_response_url(self, channel: str, user: str, ts: str | None) -> str:
        """Make the address at which the app may answer an interaction: five times within 30 minutes, as in Slack."""
        key = secrets.token_hex(12)
        self._response_urls[key] = ResponseUrl(channel, user, ts, self._now() + RESPONSE_SECONDS)
        return f"{self.address}/response/{key}"

    def use_response_url(self, key: str) -> tuple[ResponseUrl | None, str]:
        """Return (where an answer goes, "") or (None, what Slack answers to an address that is no good any more)."""
        target = self._response_urls.get(key)
        if target is None or self._now() > target.ends:
            return None, "expired_url"
        if target.uses == 0:
            return None, "used_url"
        target.uses -= 1
        return target, ""

    # Faults

    def take_fault(self, name: str) -> bool:
        """Whether this call, event or acknowledgement is to go wrong in this way; one of the fault's count is used."""
        left: int = getattr(self.faults, name)
        if left > 0:
            self.set_faults(**{name: left - 1})
        return left > 0

    def set_faults(self, **values: Any) -> None:
        """Set faults; every page shows what is left of each."""
        self.faults = replace(self.faults, **values)
        for user in self.members:
            self.show_to(user, {"type": "faults", "faults": asdict(self.faults)})

    # Connections

    def new_ticket(self) -> str:
        """Make the ticket with which the app may connect, once."""
        ticket = secrets.token_hex(16)
        self._tickets.add(ticket)
        return ticket

    def use_ticket(self, ticket: str) -> bool:
        """Whether the ticket is good; from now on it is not."""
        known = ticket in self._tickets
        self._tickets.discard(ticket)
        return known

    # Installing the app, and removing it

    def new_code(self, user: str) -> str:
        """Make the code with which the app gets its token, once, because this person agreed to install it."""
        code = secrets.token_hex(16)
        self._codes[code] = user
        return code

    def install(self, code: str) -> str | None:
        """Give the app a new token for a code; return who installed it, None when the code is not good."""
        user = self._codes.pop(code, None)
        if user is not None:
            self.app = replace(self.app, bot_token=f"xoxb-{secrets.token_hex(12)}")
        return user

    def uninstall(self) -> None:
        """Remove the app: its token is good no more, and two events tell it so."""
        for event in events.of_removed_app(self.app):
            self._tell_if_wanted(event)
        self.revoked.add(self.app.bot_token)
        self.app = replace(self.app, bot_token="")

    # Pages

    def join_page(self, user: str) -> "asyncio.Queue[Json]":
        """Let an open page hear what this person sees."""
        page: asyncio.Queue[Json] = asyncio.Queue()
        self._pages[user].add(page)
        return page

    def leave_page(self, user: str, page: "asyncio.Queue[Json]") -> None:
        """Stop telling a page that was closed."""
        self._pages[user].discard(page)

    def show_to(self, user: str, event: Json) -> None:
        """Tell the open pages of one person, and note that there is something new to save."""
        for page in self._pages[user]:
            page.put_nowait(event)
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
        self.save_soon()

    async def next_change(self) -> None:
        """Wait until somebody is shown something."""
        watcher: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers.add(watcher)
        try:
            await watcher
        finally:
            self._watchers.discard(watcher)

    def set_guide(self, guide: Json | None) -> None:
        """Show a guide in every page."""
        self.guide = guide
        for user in self.members:
            self.show_to(user, {"type": "guide", "guide": guide})

    # Keeping it

    def persist(self, file: Path) -> None:
        """Save to this file from now on, shortly after each change."""
        self._file = file
        self.save_soon()

    def save(self) -> None:
        """Write everything; the file is replaced whole."""
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            json.dump(self.to_json(), file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._file)

    def to_json(self) -> Json:
        """Return what a restart needs: people, channels, messages, homes, and deliveries that nobody acknowledged."""
        return {
            "team_id": self.team_id,
            "team_name": self.team_name,
            "members": [asdict(member) for member in self.members.values() if member.id != self.bot_user],
            "channels": [asdict(channel) for channel in self.channels.values()],
            "messages": [asdict(message) for messages in self.history.values() for message in messages.values()],
            "user_groups": [asdict(group) for group in self.user_groups.values()],
            "homes": self.homes,
            "unacknowledged": self.unacknowledged(),
        }

    def save_soon(self) -> None:
        """Save a moment from now, so that many changes are written once."""
        if self._file is None or self._saving is not None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.save()
            return
        self._saving = loop.call_later(SAVE_SECONDS, self.save)

    def restore(self, messages: Iterable[Message]) -> None:
        """Take messages that were kept; streams among them ended with the process that kept them."""
        for message in messages:
            self.history[message.channel][message.ts] = replace(message, streaming=False)
            self._last_ts = max(self._last_ts, int(message.ts.replace(".", "")))

    # Inside

    def _now(self) -> float:
        return self.clock().timestamp()

    def _offset(self, time_zone: str) -> int:
        """Return how many seconds a time zone is ahead of UTC now."""
        ahead = self.clock().astimezone(ZoneInfo(time_zone)).utcoffset()
        return int(ahead.total_seconds()) if ahead else 0

    def _hash(self) -> str:
        return f"{next(self._numbers)}.{secrets.token_hex(4)}"

    def _show(self, event: Json, channel: str, only: str | None) -> None:
        for user in self.channels[channel].members if only is None else (only,):
            self.show_to(user, event)

    def _tell_app(self, event: Event, channel: str) -> None:
        """Deliver an event that the app subscribed to, may see, and is there to see."""
        is_there = self.app.bot_token and self.bot_user in self.channels[channel].members
        if is_there and events.is_wanted(event, self.app):
            self._deliver(event, is_shared=self.channels[channel].is_ext_shared)

    def _tell_if_wanted(self, event: Event) -> None:
        """Deliver an event that happened in no channel, if the app subscribed to it and may see it."""
        if self.app.bot_token and events.is_wanted(event, self.app):
            self._deliver(event)

    def _deliver(self, event: Event, *, is_shared: bool = False) -> None:
        payload = {
            "type": "event_callback",
            "token": "local",
            "team_id": self.team_id,
            "api_app_id": self.app.app_id,
            "event": event.content,
            "event_id": f"Ev{secrets.token_hex(6).upper()}",
            "event_time": int(self._now()),
            "authorizations": [{"team_id": self.team_id, "user_id": self.bot_user, "is_bot": True}],
            "is_ext_shared_channel": is_shared,
        }
        self.deliver("events_api", payload, False)
