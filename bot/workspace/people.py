"""What a person does in the workspace: writes, reacts, clicks, fills in forms. Page and scripts both act here."""

import asyncio
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from bot.workspace.blocks import view_problems, with_ids
from bot.workspace.model import Channel, Json, Message, UserGroup
from bot.workspace.socket_mode import AppDidNotAnswerError, SocketMode
from bot.workspace.state import Workspace

Found = TypeVar("Found")

VALUES = (
    "value", "selected_option", "selected_options", "selected_user", "selected_users", "selected_channel",
    "selected_conversation", "selected_date", "selected_time", "selected_date_time", "rich_text_value",
)  # fmt: skip
"""Where a field of a form has what was put into it."""


class ActionRefusedError(Exception):
    """What a person tried is not possible; the message is a plain sentence."""


class People:
    """Acts for any member; every act reaches the app over the protocol that Slack would use."""

    def __init__(self, workspace: Workspace, socket_mode: SocketMode) -> None:
        self._workspace = workspace
        self._sockets = socket_mode

    async def send(self, user: str, channel: str, text: str, thread_ts: str | None = None) -> str:
        """Write a message, or run a command when it begins with one; return the message's ts ("" for a command)."""
        place = self._place(user, channel)
        if not text.strip():
            raise ActionRefusedError("The message is empty.")
        command, _, rest = text.partition(" ")
        if command in self._workspace.app.commands:
            if thread_ts is not None:
                raise ActionRefusedError(f"{command} is not supported in threads. Sorry!")
            await self.command(user, channel, command, rest)
            return ""
        if thread_ts is not None and self._workspace.find_message(channel, thread_ts) is None:
            raise ActionRefusedError("That thread is gone.")
        bot_id = f"B{user[1:]}" if self._workspace.members[user].is_bot else None
        message = Message(self._workspace.next_ts(), place.id, user, text, thread_ts, bot_id=bot_id)
        return self._workspace.post(message).ts

    def create_channel(self, user: str, name: str, others: Sequence[str] = (), *, is_private: bool = False) -> Channel:
        """Create a channel with these people in it; the app is in it once somebody invites it."""
        members = tuple(dict.fromkeys((self._member(user), *map(self._member, others))))
        key = f"{'G' if is_private else 'C'}{secrets.token_hex(5).upper()}"
        return self._workspace.add_channel(Channel(key, name, members, is_private=is_private))

    def invite(self, user: str, channel: str, other: str) -> None:
        """Bring somebody, or the app, into a channel."""
        place = self._place(user, channel)
        if place.is_im or place.is_mpim:
            raise ActionRefusedError("Nobody can be added to direct messages.")
        self._workspace.join_channel(self._member(other), place, user)

    def create_user_group(self, user: str, handle: str, name: str, members: Sequence[str] = ()) -> UserGroup:
        """Create a user group with these members."""
        if any(group.handle == handle for group in self._workspace.user_groups.values()):
            raise ActionRefusedError("Another user group has that handle.")
        return self._workspace.add_user_group(self._member(user), handle, name, map(self._member, members))

    def set_user_group(self, user: str, group: str, members: Sequence[str]) -> None:
        """Put these members into a user group in place of those who are in it."""
        self._workspace.change_user_group(self._member(user), self._group(group), map(self._member, members))

    def switch_user_group(self, user: str, group: str, *, on: bool) -> None:
        """Turn a user group off, or on again."""
        self._workspace.change_user_group(self._member(user), self._group(group), is_on=on)

    def react(self, user: str, channel: str, ts: str, name: str, *, add: bool = True) -> None:
        """Add or remove a reaction."""
        self._place(user, channel)
        self._workspace.react(user, self._message(channel, ts), name.strip(":"), add=add)

    async def click(self, user: str, channel: str, ts: str, action_id: str, value: str | None = None) -> None:
        """Use the element with this action id in a message; `value` chooses among feedback buttons and options."""
        message = self._message(channel, ts)
        block, element = _element(message.blocks, action_id)
        await self.act(user, _action(block, element, value), channel=channel, ts=ts)

    async def click_in_view(self, user: str, view_id: str, action_id: str, value: str | None = None) -> None:
        """Use the element with this action id in a modal, or on the home tab."""
        block, element = _element(self._view(user, view_id)["blocks"], action_id)
        await self.act(user, _action(block, element, value), view_id=view_id)

    async def act(
        self, user: str, action: Json, *, channel: str | None = None, ts: str | None = None, view_id: str | None = None
    ) -> None:
        """Send a `block_actions` interaction and wait until the app has acknowledged it.

        Feedback buttons are a toggle: one that is pressed again is let go, and of that Slack tells the app nothing.
        """
        payload = self._payload("block_actions", user) | {
            "actions": [{"action_ts": self._workspace.next_ts(), **action}]
        }
        if view_id is not None:
            payload |= {"view": self._view(user, view_id), "container": {"type": "view", "view_id": view_id}}
        else:
            payload |= self._of_message(user, str(channel), str(ts))
        if action.get("type") == "feedback_buttons":
            await self._toggle(self._message(str(channel), str(ts)), user, action, payload)
        else:
            await self._ask("interactive", payload)

    async def _toggle(self, message: Message, user: str, action: Json, payload: Json) -> None:
        pressed, key, value = message.pressed.setdefault(user, {}), str(action["action_id"]), str(action["value"])
        if pressed.get(key) == value:
            del pressed[key]
        else:
            await self._ask("interactive", payload)
            pressed[key] = value
        self._workspace.save_soon()

    async def shortcut(self, user: str, channel: str, ts: str, callback_id: str) -> None:
        """Use a shortcut of the app on a message."""
        if callback_id not in dict(self._workspace.app.shortcuts):
            raise ActionRefusedError("The app has no such shortcut.")
        payload = self._payload("message_action", user) | self._of_message(user, channel, ts)
        await self._ask("interactive", payload | {"callback_id": callback_id, "message_ts": ts})

    def stop(self, user: str, channel: str, thread_ts: str) -> None:
        """Press Slack's Stop button in a thread in which the app works."""
        self._place(user, channel)
        if not self._workspace.is_stoppable(channel, thread_ts):
            raise ActionRefusedError("There is nothing to stop.")
        self._workspace.stop_session(user, channel, thread_ts)

    async def submit(self, user: str, view_id: str, values: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Submit a modal. `values`: block id -> action id -> text or Slack's value object.

        Returns the errors by block id; none means that the modal was closed, or that the app put another in its place.
        What a text field takes at most is left to the app to check, so that tests reach its check.
        """
        view = self._view(user, view_id)
        if errors := _missing(view["blocks"], values):
            return errors
        state = {"values": _state(view["blocks"], values)}
        payload = self._payload("view_submission", user) | {"view": {**view, "state": state}, "response_urls": []}
        return self._after_submission(user, view, await self._ask("interactive", payload))

    def _after_submission(self, user: str, view: Json, answer: Json) -> dict[str, str]:
        """Do what the acknowledgement of a submission asks; return the errors that it names."""
        match answer.get("response_action"):
            case "errors":
                return _errors(view["blocks"], answer.get("errors"))
            case "update":
                content = answer.get("view")
                if view_problems(content) or not isinstance(content, dict):
                    raise ActionRefusedError("The app answered with a form that Slack would not show.")
                self._workspace.update_view(view["id"], {**content, "blocks": with_ids(content["blocks"], "b")})
            case "clear":
                for each in self._workspace.open_views(user):
                    self._workspace.close_view(each["id"])
            case None if view["id"] in self._workspace.views:
                self._workspace.close_view(view["id"])
            case None:
                pass
            case other:
                raise ActionRefusedError(f"The app answered with {other!r}, which this workspace does not know.")
        return {}

    async def close(self, user: str, view_id: str) -> None:
        """Close a modal without submitting it."""
        view = self._view(user, view_id)
        self._workspace.close_view(view_id)
        if view["notify_on_close"]:
            await self._ask("interactive", self._payload("view_closed", user) | {"view": view, "is_cleared": False})

    async def command(self, user: str, channel: str, command: str, text: str) -> None:
        """Run a slash command; a text in the acknowledgement is shown to the person."""
        workspace, place = self._workspace, self._place(user, channel)
        if command not in workspace.app.commands:
            raise ActionRefusedError("The app has no such command.")
        payload = {
            "token": "local",
            "team_domain": "localhost",
            "is_enterprise_install": "false",
            "command": command,
            "text": text,
            "user_id": user,
            "user_name": workspace.members[user].name,
            "channel_id": channel,
            "channel_name": place.name,
            "team_id": workspace.team_id,
            "api_app_id": workspace.app.app_id,
            "trigger_id": workspace.new_trigger(user),
            "response_url": workspace.new_response_url(channel, user, None),
        }
        answer = await self._ask("slash_commands", payload)
        if answer.get("text") or answer.get("blocks"):
            only = None if answer.get("response_type") == "in_channel" else user
            workspace.post(
                Message(
                    workspace.next_ts(), channel, workspace.bot_user, answer.get("text", ""),
                    blocks=answer.get("blocks") or [], bot_id=workspace.app.bot_id, seen_by=only,
                )
            )  # fmt: skip

    async def wait_for(self, look: Callable[[], Found | None], seconds: float) -> Found:
        """Wait until `look` finds something in the workspace, and return that.

        Raises:
            TimeoutError: it found nothing in that many seconds.

        """
        async with asyncio.timeout(seconds):
            while not (found := look()):
                await self._workspace.next_change()
        return found

    def _payload(self, kind: str, user: str) -> Json:
        workspace = self._workspace
        username, team = workspace.members[self._member(user)].name, workspace.team_of(user)
        return {
            "type": kind,
            "user": {"id": user, "username": username, "team_id": team},
            "team": {"id": workspace.team_id, "domain": "localhost"},
            "api_app_id": workspace.app.app_id,
            "token": "local",
            "trigger_id": workspace.new_trigger(user),
            "is_enterprise_install": False,
        }

    def _of_message(self, user: str, channel: str, ts: str) -> Json:
        place, message = self._place(user, channel), self._message(channel, ts)
        if message.seen_by not in (None, user):
            raise ActionRefusedError("That message is gone.")
        thread = {"thread_ts": message.thread_ts} if message.thread_ts else {}
        only_here = message.seen_by is not None  # Slack keeps no such message, so it sends none
        return {
            "channel": {"id": channel, "name": place.name},
            **({} if only_here else {"message": message.public()}),
            "container": {
                "type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": only_here, **thread,
            },
            "response_url": self._workspace.new_response_url(channel, user, ts),
        }  # fmt: skip

    def _member(self, user: str) -> str:
        if user not in self._workspace.members:
            raise ActionRefusedError("There is no such member.")
        return user

    def _group(self, key: str) -> UserGroup:
        if key not in self._workspace.user_groups:
            raise ActionRefusedError("There is no such user group.")
        return self._workspace.user_groups[key]

    def _place(self, user: str, channel: str) -> Channel:
        place = self._workspace.channels.get(channel)
        if place is None or user not in place.members:
            raise ActionRefusedError("You are not in that channel.")
        return place

    def _message(self, channel: str, ts: str) -> Message:
        message = self._workspace.find_message(channel, ts)
        if message is None:
            raise ActionRefusedError("That message is gone.")
        return message

    def _view(self, user: str, view_id: str) -> Json:
        home = self._workspace.homes.get(user, {})
        owner, view = (user, home) if home.get("id") == view_id else self._workspace.views.get(view_id, ("", {}))
        if owner != user:
            raise ActionRefusedError("That form is closed.")
        return view

    async def _ask(self, kind: str, payload: Json) -> Json:
        try:
            return await self._sockets.ask(kind, payload)
        except AppDidNotAnswerError as error:
            raise ActionRefusedError(str(error)) from error


def _element(blocks: list[Json], action_id: str) -> tuple[Json, Json]:
    for block, element in _elements(blocks):
        if element.get("action_id") == action_id:
            return block, element
    raise ActionRefusedError("That message has no such button.")


def _elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    for block in blocks:
        single = [block[name] for name in ("accessory", "element") if block.get(name)]
        for element in [*single, *(block.get("elements") or [])]:
            if isinstance(element, dict):
                yield block, element


def _action(block: Json, element: Json, value: str | None) -> Json:
    action = {"block_id": block.get("block_id", ""), "action_id": element["action_id"], "type": element["type"]}
    if element["type"] == "feedback_buttons":
        buttons = [element["positive_button"], element["negative_button"]]
        chosen = next((button for button in buttons if value in (None, button["value"])), None)
        if chosen is None:
            raise ActionRefusedError("There is no such feedback button.")
        return action | {"value": chosen["value"], "text": chosen["text"]}
    if element["type"] == "checkboxes":
        return action | {"selected_options": _toggled(element, value)}
    if element.get("options"):
        chosen = next((option for option in element["options"] if option["value"] == value), None)
        if chosen is None:
            raise ActionRefusedError("There is no such option.")
        return action | {"selected_option": chosen}
    return action | {"value": element.get("value", ""), "text": element.get("text")}


def _toggled(element: Json, value: str | None) -> list[Json]:
    """Return the options that are ticked once the one with this value was clicked."""
    if value not in {option["value"] for option in element["options"]}:
        raise ActionRefusedError("There is no such box.")
    ticked = {option["value"] for option in element.get("initial_options", [])} ^ {value}
    return [option for option in element["options"] if option["value"] in ticked]


def _fields(blocks: list[Json]) -> Iterator[tuple[str, Json, bool]]:
    """Give id, element and whether something must be in it, of each input block."""
    for block in blocks:
        if block.get("type") == "input":
            yield block["block_id"], block["element"], not block.get("optional")


def _missing(blocks: list[Json], values: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Say which fields must still be filled in; Slack checks this before the app sees anything."""
    return {
        block_id: "Please complete this required field."
        for block_id, element, required in _fields(blocks)
        if required and not _plain(values.get(block_id, {}).get(element["action_id"]))
    }


def _errors(blocks: list[Json], errors: Any) -> dict[str, str]:
    """Return the errors that an app names; Slack shows none at all when one is not about an input block."""
    known = {block_id for block_id, _, _ in _fields(blocks)}
    if not isinstance(errors, Mapping) or not errors or not set(errors) <= known:
        raise ActionRefusedError("The app named errors of fields that its form does not have.")
    return {str(block_id): str(text) for block_id, text in errors.items()}


def _state(blocks: list[Json], values: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Json]]:
    """Return what is in a form as the app gets it: every field, an empty one with nothing in it."""
    given = {block: {key: _value(value) for key, value in fields.items()} for block, fields in values.items()}
    empty = {block_id: {element["action_id"]: _empty(element["type"])} for block_id, element, _ in _fields(blocks)}
    return empty | given


def _empty(kind: str) -> Json:
    match kind:
        case "static_select" | "radio_buttons":
            return {"type": kind, "selected_option": None}
        case "multi_users_select":
            return {"type": kind, "selected_users": []}
        case _:
            return {"type": kind, "value": None}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return next((value[key] for key in VALUES if value.get(key)), None)
    return value


def _value(value: Any) -> Json:
    return dict(value) if isinstance(value, Mapping) else {"type": "plain_text_input", "value": value}
