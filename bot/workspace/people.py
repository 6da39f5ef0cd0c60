"""What a person does in the workspace: writes, reacts, clicks, fills in forms. Page and scripts both act here."""

from collections.abc import Iterator, Mapping
from typing import Any

from bot.workspace.blocks import with_ids
from bot.workspace.model import Channel, Json, Message
from bot.workspace.socket_mode import AppDidNotAnswerError, SocketMode
from bot.workspace.state import Workspace


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
            await self.command(user, channel, command, rest)
            return ""
        if thread_ts is not None and self._workspace.find_message(channel, thread_ts) is None:
            raise ActionRefusedError("That thread is gone.")
        message = Message(self._workspace.next_ts(), place.id, user, text, thread_ts)
        return self._workspace.post(message).ts

    def react(self, user: str, channel: str, ts: str, name: str, *, add: bool = True) -> None:
        """Add or remove a reaction."""
        self._place(user, channel)
        self._workspace.react(user, self._message(channel, ts), name.strip(":"), add=add)

    async def click(self, user: str, channel: str, ts: str, action_id: str, value: str | None = None) -> None:
        """Use the element with this action id in a message; `value` chooses among feedback buttons and options."""
        message = self._message(channel, ts)
        block, element = _element(message.blocks, action_id)
        await self.act(user, _action(block, element, value), channel=channel, ts=ts)

    async def act(
        self, user: str, action: Json, *, channel: str | None = None, ts: str | None = None, view_id: str | None = None
    ) -> None:
        """Send a `block_actions` interaction and wait until the app has acknowledged it."""
        payload = self._payload("block_actions", user) | {
            "actions": [{"action_ts": self._workspace.next_ts(), **action}]
        }
        if view_id is not None:
            payload |= {"view": self._view(user, view_id), "container": {"type": "view", "view_id": view_id}}
        else:
            payload |= self._of_message(user, str(channel), str(ts))
        await self._ask("interactive", payload)

    async def shortcut(self, user: str, channel: str, ts: str, callback_id: str) -> None:
        """Use a shortcut of the app on a message."""
        payload = self._payload("message_action", user) | self._of_message(user, channel, ts)
        await self._ask("interactive", payload | {"callback_id": callback_id, "message_ts": ts})

    async def submit(self, user: str, view_id: str, values: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """Submit a modal. `values`: block id -> action id -> text or Slack's value object.

        Returns the errors by block id; none means that the modal was closed, or that the app put another in its place.
        """
        view = self._view(user, view_id)
        if errors := _missing(view["blocks"], values):
            return errors
        state = {
            "values": {block: {key: _value(value) for key, value in given.items()} for block, given in values.items()}
        }
        answer = await self._ask(
            "interactive", self._payload("view_submission", user) | {"view": {**view, "state": state}}
        )
        match answer.get("response_action"):
            case "errors":
                return dict(answer["errors"])
            case "update":
                content = answer["view"]
                self._workspace.update_view(view_id, {**content, "blocks": with_ids(content["blocks"], "b")})
            case _:
                if view_id in self._workspace.views:
                    self._workspace.close_view(view_id)
        return {}

    async def close(self, user: str, view_id: str) -> None:
        """Close a modal without submitting it."""
        view = self._view(user, view_id)
        self._workspace.close_view(view_id)
        if view["notify_on_close"]:
            await self._ask("interactive", self._payload("view_closed", user) | {"view": view, "is_cleared": False})

    async def command(self, user: str, channel: str, command: str, text: str) -> None:
        """Run a slash command; a text in the acknowledgement is shown to the person."""
        workspace = self._workspace
        payload = {
            "command": command,
            "text": text,
            "user_id": user,
            "user_name": workspace.members[user].name,
            "channel_id": channel,
            "channel_name": workspace.channels[channel].name,
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

    def _payload(self, kind: str, user: str) -> Json:
        workspace = self._workspace
        if user not in workspace.members:
            raise ActionRefusedError("There is no such member.")
        return {
            "type": kind,
            "user": {"id": user, "username": workspace.members[user].name, "team_id": workspace.team_id},
            "team": {"id": workspace.team_id, "domain": "localhost"},
            "api_app_id": workspace.app.app_id,
            "token": "local",
            "trigger_id": workspace.new_trigger(user),
            "is_enterprise_install": False,
        }

    def _of_message(self, user: str, channel: str, ts: str) -> Json:
        place, message = self._place(user, channel), self._message(channel, ts)
        thread = {"thread_ts": message.thread_ts} if message.thread_ts else {}
        return {
            "channel": {"id": channel, "name": place.name},
            "message": message.public(),
            "container": {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": False, **thread},
            "response_url": self._workspace.new_response_url(channel, user, ts),
        }

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
        owner, view = self._workspace.views.get(view_id, ("", {}))
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
    if element.get("options"):
        chosen = next((option for option in element["options"] if option["value"] == value), None)
        return action | {"selected_option": chosen}
    return action | {"value": element.get("value", ""), "text": element.get("text")}


def _missing(blocks: list[Json], values: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Say which fields must still be filled in; Slack checks this before the app sees anything."""
    missing = {}
    for block in blocks:
        if block.get("type") != "input" or block.get("optional"):
            continue
        given = values.get(block.get("block_id", ""), {}).get(block["element"]["action_id"])
        if not _plain(given):
            missing[block.get("block_id", "")] = "Please complete this required field."
    return missing


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get("value") or value.get("selected_option") or value.get("selected_options")
    return value


def _value(value: Any) -> Json:
    return dict(value) if isinstance(value, Mapping) else {"type": "plain_text_input", "value": value}
