"""What the app is told: the Events API's payloads, made from what happened. Pure."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bot.workspace.model import AppDefinition, Channel, Json, Message

SCOPES: Mapping[str, str] = {
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "reaction_added": "reactions:read",
    "reaction_removed": "reactions:read",
}
"""What an app subscribes to -> the scope without which Slack does not deliver it."""
SUBSCRIPTIONS: Mapping[str, str] = {"channel": "message.channels", "group": "message.groups", "im": "message.im"}
"""Kind of a channel -> the subscription that messages in it belong to."""


class Event(NamedTuple):
    """An event, and what the app must have subscribed to for it."""

    subscription: str
    content: Json


def is_wanted(event: Event, app: AppDefinition) -> bool:
    """Whether the app subscribed to the event and may see it."""
    scope = SCOPES.get(event.subscription)
    return event.subscription in app.events and (scope is None or scope in app.scopes)


def of_message(message: Message, channel: Channel, app: AppDefinition, team: str) -> Iterator[Event]:
    """Give the events of a new message; one that mentions the app causes two, with one ts."""
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
    content |= {"bot_id": message.bot_id, "app_id": app.app_id} if message.bot_id else {}
    yield Event(SUBSCRIPTIONS[channel.kind], content)
    if f"<@{app.bot_user}>" in message.text and not message.bot_id and not channel.is_im:
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


def of_removed_app(app: AppDefinition) -> Iterator[Event]:
    """Give the events of an app that was removed."""
    yield Event("tokens_revoked", {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [app.bot_user]}})
    yield Event("app_uninstalled", {"type": "app_uninstalled"})


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
