"""What the app is told: the Events API's payloads, made from what happened. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bot.workspace.model import AppDefinition, Channel, Json, Message, UserGroup

SCOPES: Mapping[str, str] = {
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
    "subteam_created": "usergroups:read",
    "subteam_members_changed": "usergroups:read",
    "subteam_updated": "usergroups:read",
}
"""What an app subscribes to -> the scope without which Slack does not deliver it."""
SUBSCRIPTIONS: Mapping[str, str] = {
    "channel": "message.channels",
    "group": "message.groups",
    "im": "message.im",
    "mpim": "message.mpim",
}
"""Kind of a channel -> the subscription that messages in it belong to."""
JOINING: Mapping[str, str] = {"channel": "channels:read", "group": "groups:read"}
"""Kind of a channel that one can join -> the scope without which Slack does not tell who did."""
GROUP_USERS = 500


class Event(NamedTuple):
    """An event, what the app must have subscribed to for it, and the scope where the subscription does not tell."""

    subscription: str
    content: Json
    scope: str | None = None


def is_wanted(event: Event, app: AppDefinition) -> bool:
    """Whether the app subscribed to the event and may see it."""
    scope = event.scope or SCOPES.get(event.subscription)
    return event.subscription in app.events and (scope is None or scope in app.scopes)


def of_message(message: Message, channel: Channel, app: AppDefinition, team: str) -> Iterator[Event]:
    """Give the events of a new message; one that mentions the app causes two, with one ts. `team` is the author's."""
    content: Json = {
        "type": "message",
        "channel": message.channel,
        "channel_type": channel.kind,
        "user": message.user,
        "text": message.text,
        "ts": message.ts,
        "event_ts": message.ts,
        "team": team,
    }
    content |= {"thread_ts": message.thread_ts} if message.thread_ts else {}
    content |= {"blocks": message.blocks} if message.blocks else {}
    content |= {"user_team": team, "source_team": team} if channel.is_ext_shared else {}
    content |= {"bot_id": message.bot_id} if message.bot_id else {}
    content |= {"app_id": app.app_id} if message.user == app.bot_user else {}
    yield Event(SUBSCRIPTIONS[channel.kind], content)
    if f"<@{app.bot_user}>" in message.text and message.user != app.bot_user and not channel.is_im:
        mention = {key: value for key, value in content.items() if key != "channel_type"}
        yield Event("app_mention", mention | {"type": "app_mention"})


def of_change(before: Json, after: Message, channel: Channel, ts: str) -> Event:
    """Give the event of a changed message."""
    about = {"message": after.public(), "previous_message": before}
    return Event(SUBSCRIPTIONS[channel.kind], _hidden("message_changed", channel, ts) | about)


def of_removal(message: Message, channel: Channel, ts: str) -> Event:
    """Give the event of a message that was deleted."""
    about = {"deleted_ts": message.ts, "previous_message": message.public()}
    return Event(SUBSCRIPTIONS[channel.kind], _hidden("message_deleted", channel, ts) | about)


def of_reaction(user: str, message: Message, name: str, ts: str, *, added: bool) -> Event:
    """Give the event of a reaction."""
    kind = "reaction_added" if added else "reaction_removed"
    item = {"type": "message", "channel": message.channel, "ts": message.ts}
    content = {"user": user, "reaction": name, "item": item, "item_user": message.user, "event_ts": ts}
    return Event(kind, {"type": kind, **content})


def of_group(kind: str, described: Json, ts: str) -> Event:
    """Give the event of a user group that was made or changed; Slack names at most 500 of its users."""
    shown = {**described, "users": described["users"][:GROUP_USERS], "channel_count": 0}
    return Event(kind, {"type": kind, "subteam": shown, "event_ts": ts})


def of_group_members(group: UserGroup, before: Sequence[str], previous_update: int, team: str, ts: str) -> Event:
    """Give the event of who came into a user group and who left it; of whom there are none, there is no key."""
    content: Json = {
        "type": "subteam_members_changed",
        "subteam_id": group.id,
        "team_id": team,
        "date_previous_update": previous_update,
        "date_update": group.date_update,
        "event_ts": ts,
    }
    added = [user for user in group.users if user not in before]
    removed = [user for user in before if user not in group.users]
    for name, users in (("added_users", added), ("removed_users", removed)):
        content |= {name: users, f"{name}_count": len(users)} if users else {}
    return Event("subteam_members_changed", content)


def of_removed_app(app: AppDefinition) -> Iterator[Event]:
    """Give the events of an app that was removed."""
    yield Event("tokens_revoked", {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [app.bot_user]}})
    yield Event("app_uninstalled", {"type": "app_uninstalled"})


def of_joining(user: str, channel: Channel, team: str, ts: str, inviter: str) -> Event:
    """Give the event of somebody who came into a channel."""
    content = {
        "type": "member_joined_channel",
        "user": user,
        "channel": channel.id,
        "channel_type": "G" if channel.is_private else "C",
        "team": team,
        "event_ts": ts,
    }
    content |= {"inviter": inviter} if inviter else {}
    return Event("member_joined_channel", content, JOINING[channel.kind])


def _hidden(subtype: str, channel: Channel, ts: str) -> Json:
    return {
        "type": "message",
        "subtype": subtype,
        "hidden": True,
        "channel": channel.id,
        "channel_type": channel.kind,
        "ts": ts,
        "event_ts": ts,
    }
