"""Slack's Web API: one table of methods, each with the scope it needs, the arguments it requires, and what it does."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.workspace.blocks import block_problems, view_problems, with_ids
from bot.workspace.model import Channel, Json, Message
from bot.workspace.state import Workspace

MESSAGE_TEXT = 40_000
STREAM_TEXT = 12_000
STREAMED_MESSAGE = 13_000
LOADING_MESSAGES = 10


class SlackError(Exception):
    """A refusal with Slack's own error code; `more` is added to the answer."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.more = more


Handler = Callable[[Workspace, Json], Json]


@dataclass(frozen=True)
class Method:
    """One method; `scopes`: any one of them is enough."""

    handle: Handler
    scopes: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    token: str = "bot"  # noqa: S105 - a kind of token


def call(workspace: Workspace, name: str, token: str, arguments: Json) -> Json:
    """Answer one call as Slack would.

    Args:
        workspace: the workspace.
        name: the method, for example `chat.postMessage`.
        token: what came as the bearer token; empty when none came.
        arguments: the decoded arguments.

    Returns:
        The JSON answer, `ok` included; refusals have `ok` false and `error`.

    """
    try:
        method = _find_method(name)
        _authorize(workspace, method, token)
        _require(method, arguments)
        return {"ok": True, **method.handle(workspace, arguments)}
    except SlackError as error:
        return {"ok": False, "error": error.code, **error.more}


def _find_method(name: str) -> Method:
    if name not in METHODS:
        raise SlackError("unknown_method", req_method=name)
    return METHODS[name]


def _require(method: Method, arguments: Json) -> None:
    for name in method.required:
        if name not in arguments or arguments[name] is None or arguments[name] == "":
            messages = [f"[ERROR] missing required field: {name}"]
            raise SlackError("invalid_arguments", response_metadata={"messages": messages})


def decode_arguments(body: Mapping[str, Any]) -> Json:
    """Read form fields: lists and objects come as JSON in them."""
    return {name: _decoded(value) for name, value in body.items()}


def _decoded(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _authorize(workspace: Workspace, method: Method, token: str) -> None:
    app = workspace.app
    if not token:
        raise SlackError("not_authed")
    if token not in {app.bot_token, app.app_token}:
        raise SlackError("invalid_auth")
    if method.token != "any" and token != (app.app_token if method.token == "app" else app.bot_token):  # noqa: S105
        raise SlackError("not_allowed_token_type")
    if method.scopes and not app.scopes.intersection(method.scopes):
        raise SlackError("missing_scope", needed=method.scopes[0], provided=",".join(sorted(app.scopes)))


# Shared by several methods


def _channel(workspace: Workspace, arguments: Json) -> Channel:
    """Find the channel, which a user id may also name, and check that the bot is in it."""
    wanted = arguments["channel"]
    if wanted in workspace.members:
        return workspace.open_dm(wanted, workspace.bot_user)
    channel = workspace.channels.get(wanted)
    if channel is None:
        raise SlackError("channel_not_found")
    if workspace.bot_user not in channel.members:
        raise SlackError("not_in_channel")
    return channel


def _message(workspace: Workspace, arguments: Json, key: str = "ts") -> Message:
    channel = _channel(workspace, arguments)
    message = workspace.find_message(channel.id, str(arguments[key]))
    if message is None:
        raise SlackError("message_not_found")
    return message


def _own_message(workspace: Workspace, arguments: Json, refusal: str) -> Message:
    message = _message(workspace, arguments)
    if message.user != workspace.bot_user:
        raise SlackError(refusal)
    return message


def _content(arguments: Json) -> Json:
    """Check text and blocks of a message."""
    text, blocks = str(arguments.get("text") or ""), arguments.get("blocks") or []
    if not text and not blocks:
        raise SlackError("no_text")
    if len(text) > MESSAGE_TEXT:
        raise SlackError("msg_too_long")
    if problems := block_problems(blocks):
        raise SlackError("invalid_blocks", response_metadata={"messages": problems})
    return {"text": text, "blocks": with_ids(blocks, "b")}


def _view(arguments: Json) -> Json:
    view = arguments["view"]
    if problems := view_problems(view):
        raise SlackError("invalid_arguments", response_metadata={"messages": problems})
    return {**view, "blocks": with_ids(view["blocks"], "b")}


def _user(workspace: Workspace, arguments: Json) -> str:
    user = arguments["user"]
    if user not in workspace.members:
        raise SlackError("user_not_found")
    return str(user)


# Methods


def _auth_test(workspace: Workspace, _: Json) -> Json:
    app = workspace.app
    return {
        "url": "http://localhost/",
        "team": workspace.team_name,
        "team_id": workspace.team_id,
        "user": app.name.lower(),
        "user_id": app.bot_user,
        "bot_id": app.bot_id,
        "is_enterprise_install": False,
    }


def _post_message(workspace: Workspace, arguments: Json) -> Json:
    channel = _channel(workspace, arguments)
    message = workspace.post(
        Message(
            ts=workspace.next_ts(),
            channel=channel.id,
            user=workspace.bot_user,
            bot_id=workspace.app.bot_id,
            thread_ts=_thread(workspace, channel, arguments),
            metadata=arguments.get("metadata") or {},
            **_content(arguments),
        )
    )
    return {"channel": channel.id, "ts": message.ts, "message": message.public()}


def _thread(workspace: Workspace, channel: Channel, arguments: Json) -> str | None:
    thread_ts = arguments.get("thread_ts")
    if thread_ts is None:
        return None
    if workspace.find_message(channel.id, str(thread_ts)) is None:
        raise SlackError("thread_not_found")
    return str(thread_ts)


def _post_ephemeral(workspace: Workspace, arguments: Json) -> Json:
    channel, user = _channel(workspace, arguments), _user(workspace, arguments)
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    message = Message(
        ts=workspace.next_ts(),
        channel=channel.id,
        user=workspace.bot_user,
        bot_id=workspace.app.bot_id,
        thread_ts=arguments.get("thread_ts"),
        seen_by=user,
        **_content(arguments),
    )
    workspace.post(message)
    return {"message_ts": message.ts}


def _update(workspace: Workspace, arguments: Json) -> Json:
    message = _own_message(workspace, arguments, "cant_update_message")
    if message.streaming:
        raise SlackError("streaming_state_conflict")
    content = _content({"text": message.text, **arguments})
    workspace.change(message, edited=True, markdown=False, **content)
    return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": message.public()}


def _delete(workspace: Workspace, arguments: Json) -> Json:
    message = _own_message(workspace, arguments, "cant_delete_message")
    workspace.delete(message)
    return {"channel": message.channel, "ts": message.ts}


def _permalink(workspace: Workspace, arguments: Json) -> Json:
    message = _message(workspace, arguments, "message_ts")
    return {"channel": message.channel, "permalink": f"?channel={message.channel}&message={message.ts}"}


def _start_stream(workspace: Workspace, arguments: Json) -> Json:
    channel = _channel(workspace, arguments)
    if not channel.is_im:
        if not arguments.get("recipient_team_id"):
            raise SlackError("missing_recipient_team_id")
        if arguments.get("recipient_user_id") not in workspace.members:
            raise SlackError("missing_recipient_user_id")
    message = Message(
        ts=workspace.next_ts(),
        channel=channel.id,
        user=workspace.bot_user,
        bot_id=workspace.app.bot_id,
        thread_ts=_thread(workspace, channel, arguments),
        text=_stream_text(arguments),
        markdown=True,
        streaming=True,
    )
    workspace.set_status(channel.id, str(arguments["thread_ts"]), "")
    workspace.begin_stream(message)
    return {"channel": channel.id, "ts": message.ts}


def _append_stream(workspace: Workspace, arguments: Json) -> Json:
    message = _streaming(workspace, arguments)
    workspace.change(message, text=_grown(message, arguments))
    return {"channel": message.channel, "ts": message.ts}


def _stop_stream(workspace: Workspace, arguments: Json) -> Json:
    message = _streaming(workspace, arguments)
    blocks = arguments.get("blocks") or []
    if problems := block_problems(blocks):
        raise SlackError("invalid_blocks", response_metadata={"messages": problems})
    workspace.change(message, text=_grown(message, arguments), blocks=with_ids(blocks, "b"), streaming=False)
    return {"channel": message.channel, "ts": message.ts, "message": message.public()}


def _streaming(workspace: Workspace, arguments: Json) -> Message:
    message = _own_message(workspace, arguments, "message_not_owned_by_app")
    if not workspace.stream_is_open(message):
        raise SlackError("message_not_in_streaming_state")
    return message


def _stream_text(arguments: Json) -> str:
    chunks = arguments.get("chunks") or []
    texts = [str(arguments.get("markdown_text") or ""), *(str(chunk.get("text", "")) for chunk in chunks)]
    if any(len(text) > STREAM_TEXT for text in texts):
        raise SlackError("msg_too_long")
    return "".join(texts)


def _grown(message: Message, arguments: Json) -> str:
    text = message.text + _stream_text(arguments)
    if len(text) > STREAMED_MESSAGE:
        raise SlackError("msg_too_long")
    return text


def _views_open(workspace: Workspace, arguments: Json) -> Json:
    view = _view(arguments)
    user, refusal = workspace.use_trigger(str(arguments["trigger_id"]))
    if refusal:
        raise SlackError(refusal)
    return {"view": workspace.open_view(user, view)}


def _views_update(workspace: Workspace, arguments: Json) -> Json:
    view_id = str(arguments.get("view_id") or "")
    if view_id not in workspace.views:
        raise SlackError("not_found")
    if arguments.get("hash") not in (None, workspace.views[view_id][1]["hash"]):
        raise SlackError("hash_conflict")
    return {"view": workspace.update_view(view_id, _view(arguments))}


def _views_publish(workspace: Workspace, arguments: Json) -> Json:
    user = arguments["user_id"]
    if user not in workspace.members:
        raise SlackError("user_not_found")
    return {"view": workspace.publish_home(user, _view(arguments))}


def _react(workspace: Workspace, arguments: Json, *, add: bool) -> Json:
    message = _message(workspace, arguments, "timestamp")
    if not workspace.react(workspace.bot_user, message, str(arguments["name"]), add=add):
        raise SlackError("already_reacted" if add else "no_reaction")
    return {}


def _reactions_get(workspace: Workspace, arguments: Json) -> Json:
    return {"type": "message", "message": _message(workspace, arguments, "timestamp").public()}


def _conversations_list(workspace: Workspace, arguments: Json) -> Json:
    kinds = str(arguments.get("types") or "public_channel").split(",")
    kind_of = {"channel": "public_channel", "group": "private_channel", "im": "im"}
    channels = [
        workspace.describe_channel(channel)
        for channel in workspace.channels.values()
        if kind_of[channel.kind] in kinds and (channel.kind == "channel" or workspace.bot_user in channel.members)
    ]
    return {"channels": channels, "response_metadata": {"next_cursor": ""}}


def _conversations_info(workspace: Workspace, arguments: Json) -> Json:
    return {"channel": workspace.describe_channel(_channel(workspace, arguments))}


def _conversations_members(workspace: Workspace, arguments: Json) -> Json:
    return {"members": list(_channel(workspace, arguments).members), "response_metadata": {"next_cursor": ""}}


def _history(workspace: Workspace, arguments: Json) -> Json:
    channel = _channel(workspace, arguments)
    found = [each for each in workspace.messages(channel.id) if each.thread_ts in (None, each.ts) and not each.seen_by]
    limit = int(arguments.get("limit") or 100)
    return {"messages": [message.public() for message in reversed(found)][:limit], "has_more": len(found) > limit}


def _replies(workspace: Workspace, arguments: Json) -> Json:
    parent = _message(workspace, arguments)
    replies = [parent, *workspace.messages(parent.channel, thread_ts=parent.ts)]
    limit = int(arguments.get("limit") or 100)  # Slack gives the oldest ones, too
    return {"messages": [message.public() for message in replies][:limit], "has_more": len(replies) > limit}


def _conversations_open(workspace: Workspace, arguments: Json) -> Json:
    user = str(arguments["users"])
    if user not in workspace.members:
        raise SlackError("user_not_found")
    return {"channel": workspace.describe_channel(workspace.open_dm(user, workspace.bot_user))}


def _users_list(workspace: Workspace, _: Json) -> Json:
    members = [workspace.describe_user(member) for member in workspace.members.values()]
    return {"members": members, "response_metadata": {"next_cursor": ""}}


def _users_info(workspace: Workspace, arguments: Json) -> Json:
    return {"user": workspace.describe_user(workspace.members[_user(workspace, arguments)])}


def _set_status(workspace: Workspace, arguments: Json) -> Json:
    channel = _channel(workspace, {"channel": arguments["channel_id"]})
    if len(arguments.get("loading_messages") or []) > LOADING_MESSAGES:
        raise SlackError("invalid_arguments")
    workspace.set_status(channel.id, str(arguments["thread_ts"]), str(arguments.get("status") or ""))
    return {}


def _set_prompts(workspace: Workspace, arguments: Json) -> Json:
    channel = _channel(workspace, {"channel": arguments["channel_id"]})
    title, thread_ts = str(arguments.get("title") or ""), str(arguments.get("thread_ts") or "")
    workspace.set_prompts(channel.id, thread_ts, title, list(arguments["prompts"]))
    return {}


def _bots_info(workspace: Workspace, _: Json) -> Json:
    app = workspace.app
    return {"bot": {"id": app.bot_id, "app_id": app.app_id, "name": app.name, "user_id": app.bot_user}}


def _team_info(workspace: Workspace, _: Json) -> Json:
    return {"team": {"id": workspace.team_id, "name": workspace.team_name, "domain": "localhost"}}


CHAT = ("chat:write",)
READ = ("channels:read", "groups:read", "im:read")
HISTORY = ("channels:history", "groups:history", "im:history")

METHODS: Mapping[str, Method] = {
    "api.test": Method(lambda _workspace, arguments: {"args": arguments}, token="any"),  # noqa: S106
    "auth.test": Method(_auth_test, token="any"),  # noqa: S106
    "team.info": Method(_team_info, ("team:read",)),
    "bots.info": Method(_bots_info, ("users:read",)),
    "chat.postMessage": Method(_post_message, CHAT, ("channel",)),
    "chat.postEphemeral": Method(_post_ephemeral, CHAT, ("channel", "user")),
    "chat.update": Method(_update, CHAT, ("channel", "ts")),
    "chat.delete": Method(_delete, CHAT, ("channel", "ts")),
    "chat.getPermalink": Method(_permalink, (), ("channel", "message_ts")),
    "chat.startStream": Method(_start_stream, CHAT, ("channel", "thread_ts")),
    "chat.appendStream": Method(_append_stream, CHAT, ("channel", "ts")),
    "chat.stopStream": Method(_stop_stream, CHAT, ("channel", "ts")),
    "views.open": Method(_views_open, (), ("trigger_id", "view")),
    "views.update": Method(_views_update, (), ("view",)),
    "views.publish": Method(_views_publish, (), ("user_id", "view")),
    "reactions.add": Method(
        lambda workspace, arguments: _react(workspace, arguments, add=True),
        ("reactions:write",), ("channel", "timestamp", "name"),
    ),
    "reactions.remove": Method(
        lambda workspace, arguments: _react(workspace, arguments, add=False),
        ("reactions:write",), ("channel", "timestamp", "name"),
    ),
    "reactions.get": Method(_reactions_get, ("reactions:read",), ("channel", "timestamp")),
    "conversations.list": Method(_conversations_list, READ),
    "conversations.info": Method(_conversations_info, READ, ("channel",)),
    "conversations.members": Method(_conversations_members, READ, ("channel",)),
    "conversations.history": Method(_history, HISTORY, ("channel",)),
    "conversations.replies": Method(_replies, HISTORY, ("channel", "ts")),
    "conversations.open": Method(_conversations_open, ("im:write",), ("users",)),
    "users.list": Method(_users_list, ("users:read",)),
    "users.info": Method(_users_info, ("users:read",), ("user",)),
    "users.conversations": Method(_conversations_list, READ),
    "assistant.threads.setStatus": Method(_set_status, ("assistant:write", *CHAT), ("channel_id", "thread_ts")),
    "assistant.threads.setSuggestedPrompts": Method(_set_prompts, ("assistant:write",), ("channel_id", "prompts")),
    "assistant.threads.setTitle": Method(lambda _workspace, _arguments: {}, ("assistant:write",), ("channel_id",)),
}  # fmt: skip
