"""Slack's Web API: one table of methods, each with the scope it needs, the arguments it requires, and what it does."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from bot.workspace import chat, lookups, sessions
from bot.workspace.blocks import view_problems, with_ids
from bot.workspace.calls import SlackError, find_channel, find_message, find_user, invalid, require_scope
from bot.workspace.model import Json
from bot.workspace.state import Workspace

LOADING_MESSAGES = 10
LOADING_MESSAGE = 50
"""Characters of one (letta-code pull request 3553)."""
PROMPTS = 4
VIEW_SIZE = 250_000
STRUCTURED = frozenset({"attachments", "blocks", "chunks", "loading_messages", "metadata", "prompts", "view"})
"""Arguments that may come as JSON in a string; any other string is what it is, even one that looks like JSON."""
REACTION = re.compile(r"[a-z0-9_+'-]{1,100}(::skin-tone-[2-6])?")

Handler = Callable[[Workspace, Json], Json]


@dataclass(frozen=True)
class Method:
    """One method; any one of `scopes` is enough, and what else a kind of channel needs is checked where it is used."""

    handle: Handler
    scopes: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    token: Literal["bot", "app", "any", "none"] = "bot"  # noqa: S105 - a kind of token


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


def decode_arguments(given: Mapping[str, Any]) -> Json:
    """Read the arguments that came as JSON in a string."""
    return {name: _decoded(value) if name in STRUCTURED else value for name, value in given.items()}


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value  # its check refuses it


def _find_method(name: str) -> Method:
    if name not in METHODS:
        raise SlackError("unknown_method", req_method=name)
    return METHODS[name]


def _authorize(workspace: Workspace, method: Method, token: str) -> None:
    app = workspace.app
    if method.token == "none":  # noqa: S105 - a kind of token
        return
    if not token:
        raise SlackError("not_authed")
    if token in workspace.revoked:
        raise SlackError("account_inactive")
    if token not in {app.bot_token, app.app_token}:
        raise SlackError("invalid_auth")
    wanted = {"bot": {app.bot_token}, "app": {app.app_token}, "any": {app.bot_token, app.app_token}}[method.token]
    if token not in wanted:
        raise SlackError("not_allowed_token_type")
    if method.scopes:
        require_scope(workspace, *method.scopes)


def _require(method: Method, arguments: Json) -> None:
    missing = [name for name in method.required if arguments.get(name) in (None, "")]
    if missing:
        raise invalid("invalid_arguments", *(f"[ERROR] missing required field: {name}" for name in missing))


def _test(_: Workspace, arguments: Json) -> Json:
    if error := arguments.get("error"):
        raise SlackError(str(error), args=arguments)
    return {"args": arguments}


def _auth_test(workspace: Workspace, _: Json) -> Json:
    app = workspace.app
    return {
        "url": f"{workspace.address}/",
        "team": workspace.team_name,
        "team_id": workspace.team_id,
        "user": app.name.lower(),
        "user_id": app.bot_user,
        "bot_id": app.bot_id,
        "is_enterprise_install": False,
    }


def _oauth_access(workspace: Workspace, arguments: Json) -> Json:
    """Exchange a code for a token of the bot."""
    app = workspace.app
    if not app.client_id or arguments.get("client_id") != app.client_id:
        raise SlackError("invalid_client_id")
    if arguments.get("client_secret") != app.client_secret:
        raise SlackError("bad_client_secret")
    installed_by = workspace.install(str(arguments["code"]))
    if installed_by is None:
        raise SlackError("invalid_code")
    return {
        "access_token": workspace.app.bot_token,
        "token_type": "bot",
        "scope": ",".join(sorted(app.scopes)),
        "bot_user_id": app.bot_user,
        "app_id": app.app_id,
        "team": {"id": workspace.team_id, "name": workspace.team_name},
        "enterprise": None,
        "authed_user": {"id": installed_by},
        "is_enterprise_install": False,
    }


def _open_connection(workspace: Workspace, _: Json) -> Json:
    """Return the address of a socket, which takes one connection."""
    scheme, rest = workspace.address.split("://", 1)
    return {"url": f"{'wss' if scheme == 'https' else 'ws'}://{rest}/link/?ticket={workspace.new_ticket()}"}


def _view(arguments: Json, kind: str) -> Json:
    view = arguments["view"]
    if problems := view_problems(view):
        raise invalid("invalid_arguments", *problems)
    if view["type"] != kind:
        raise invalid("invalid_arguments", f"[ERROR] must be a {kind} view [json-pointer:/view/type]")
    if len(json.dumps(view)) > VIEW_SIZE:
        raise SlackError("view_too_large")
    return {**view, "blocks": with_ids(view["blocks"], "b")}


def _views_open(workspace: Workspace, arguments: Json) -> Json:
    view = _view(arguments, "modal")
    user, refusal = workspace.use_trigger(str(arguments["trigger_id"]))
    if refusal:
        raise SlackError(refusal)
    _refuse_duplicate(workspace, view)
    return {"view": workspace.open_view(user, view)}


def _views_update(workspace: Workspace, arguments: Json) -> Json:
    view_id = str(arguments.get("view_id") or workspace.find_view(str(arguments.get("external_id") or "")))
    if view_id not in workspace.views:
        raise SlackError("not_found")
    if arguments.get("hash") not in (None, workspace.views[view_id][1]["hash"]):
        raise SlackError("hash_conflict")
    view = _view(arguments, "modal")
    _refuse_duplicate(workspace, view, view_id)
    return {"view": workspace.update_view(view_id, view)}


def _refuse_duplicate(workspace: Workspace, view: Json, view_id: str = "") -> None:
    """Refuse an id of the app's own that another open modal has."""
    if workspace.find_view(str(view.get("external_id") or "")) not in {"", view_id}:
        raise SlackError("duplicate_external_id")


def _views_publish(workspace: Workspace, arguments: Json) -> Json:
    user, view = find_user(workspace, arguments, "user_id"), _view(arguments, "home")
    if arguments.get("hash") not in (None, workspace.homes.get(user, {}).get("hash")):
        raise SlackError("hash_conflict")
    return {"view": workspace.publish_home(user, view)}


def _add_reaction(workspace: Workspace, arguments: Json) -> Json:
    if not _react(workspace, arguments, add=True):
        raise SlackError("already_reacted")
    return {}


def _remove_reaction(workspace: Workspace, arguments: Json) -> Json:
    if not _react(workspace, arguments, add=False):
        raise SlackError("no_reaction")
    return {}


def _react(workspace: Workspace, arguments: Json, *, add: bool) -> bool:
    message, name = find_message(workspace, arguments, "timestamp"), str(arguments["name"])
    if not REACTION.fullmatch(name):
        raise SlackError("invalid_name")
    return workspace.react(workspace.bot_user, message, name, add=add)


def _set_status(workspace: Workspace, arguments: Json) -> Json:
    channel = find_channel(workspace, arguments, "channel_id")
    loading = arguments.get("loading_messages") or []
    if not isinstance(loading, list) or len(loading) > LOADING_MESSAGES:
        raise invalid("invalid_arguments", f"[ERROR] must be a list of at most {LOADING_MESSAGES} items")
    if not all(isinstance(each, str) and 0 < len(each) <= LOADING_MESSAGE for each in loading):
        raise invalid("invalid_arguments", f"[ERROR] each must be a text of at most {LOADING_MESSAGE} characters")
    workspace.set_status(channel.id, str(arguments["thread_ts"]), str(arguments.get("status") or ""), loading)
    return {}


def _set_prompts(workspace: Workspace, arguments: Json) -> Json:
    channel, prompts = find_channel(workspace, arguments, "channel_id"), arguments["prompts"]
    if not isinstance(prompts, list) or not all(
        isinstance(each, dict) and each.get("title") and each.get("message") for each in prompts
    ):
        raise invalid("invalid_arguments", "[ERROR] each prompt needs title and message [json-pointer:/prompts]")
    if len(prompts) > PROMPTS:
        raise invalid("invalid_arguments", f"[ERROR] no more than {PROMPTS} items allowed [json-pointer:/prompts]")
    workspace.set_prompts(channel.id, str(arguments.get("thread_ts") or ""), str(arguments.get("title") or ""), prompts)
    return {}


def _set_title(workspace: Workspace, arguments: Json) -> Json:
    find_channel(workspace, arguments, "channel_id")
    return {}


CHAT = ("chat:write",)
READ = ("channels:read", "groups:read", "im:read", "mpim:read")
HISTORY = ("channels:history", "groups:history", "im:history", "mpim:history")
ASSISTANT = ("assistant:write",)
REACTION_OF = ("channel", "timestamp", "name")

METHODS: Mapping[str, Method] = {
    "api.test": Method(_test, token="none"),  # noqa: S106 - a kind of token
    "auth.test": Method(_auth_test, token="any"),  # noqa: S106 - a kind of token
    "oauth.v2.access": Method(_oauth_access, (), ("code",), token="none"),  # noqa: S106 - a kind of token
    "apps.connections.open": Method(_open_connection, token="app"),  # noqa: S106 - a kind of token
    "team.info": Method(lookups.team_info, ("team:read",)),
    "bots.info": Method(lookups.bots_info, ("users:read",)),
    "chat.postMessage": Method(chat.post_message, CHAT, ("channel",)),
    "chat.postEphemeral": Method(chat.post_ephemeral, CHAT, ("channel", "user")),
    "chat.update": Method(chat.update, CHAT, ("channel", "ts")),
    "chat.delete": Method(chat.delete, CHAT, ("channel", "ts")),
    "chat.getPermalink": Method(chat.permalink, (), ("channel", "message_ts")),
    "chat.startStream": Method(chat.start_stream, CHAT, ("channel", "thread_ts")),
    "chat.appendStream": Method(chat.append_stream, CHAT, ("channel", "ts")),
    "chat.stopStream": Method(chat.stop_stream, CHAT, ("channel", "ts")),
    "views.open": Method(_views_open, (), ("trigger_id", "view")),
    "views.update": Method(_views_update, (), ("view",)),
    "views.publish": Method(_views_publish, (), ("user_id", "view")),
    "reactions.add": Method(_add_reaction, ("reactions:write",), REACTION_OF),
    "reactions.remove": Method(_remove_reaction, ("reactions:write",), REACTION_OF),
    "reactions.get": Method(lookups.reactions_get, ("reactions:read",), ("channel", "timestamp")),
    "conversations.list": Method(lookups.conversations_list, READ),
    "conversations.info": Method(lookups.conversations_info, READ, ("channel",)),
    "conversations.members": Method(lookups.conversations_members, READ, ("channel",)),
    "conversations.history": Method(lookups.conversations_history, HISTORY, ("channel",)),
    "conversations.replies": Method(lookups.conversations_replies, HISTORY, ("channel", "ts")),
    "conversations.open": Method(lookups.conversations_open, ("im:write",), ("users",)),
    "conversations.join": Method(lookups.conversations_join, ("channels:join",), ("channel",)),
    "users.list": Method(lookups.users_list, ("users:read",)),
    "users.info": Method(lookups.users_info, ("users:read",), ("user",)),
    "usergroups.list": Method(lookups.usergroups_list, ("usergroups:read",)),
    "usergroups.users.list": Method(lookups.usergroups_users_list, ("usergroups:read",), ("usergroup",)),
    "users.conversations": Method(lookups.users_conversations, READ),
    "agents.sessions.setStatus": Method(sessions.set_status, CHAT, ("channel_id", "status", "thread_ts")),
    "assistant.threads.setStatus": Method(_set_status, ASSISTANT + CHAT, ("channel_id", "thread_ts")),
    "assistant.threads.setSuggestedPrompts": Method(_set_prompts, ASSISTANT, ("channel_id", "prompts")),
    "assistant.threads.setTitle": Method(_set_title, ASSISTANT, ("channel_id", "thread_ts", "title")),
}
