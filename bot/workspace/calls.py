"""What the methods of the Web API share: refusals, finding what an argument names, scopes by channel, and pages."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from bot.workspace.blocks import block_problems, is_too_large, with_ids
from bot.workspace.model import Blocks, Channel, Json, Message
from bot.workspace.state import Workspace

Item = TypeVar("Item")

KINDS: Mapping[str, str] = {
    "channel": "public_channel",
    "group": "private_channel",
    "im": "im",
    "mpim": "mpim",
}
"""Kind of a channel, as events name it -> as the argument `types` names it."""
SCOPES: Mapping[str, str] = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}
"""Kind of a channel -> what its scopes begin with."""
METADATA_SIZE = 8_000
"""Characters of a message's metadata as JSON. Slack has `metadata_too_large`, and does not say from where on."""
PAGE = 100
MOST = 1_000


class SlackError(Exception):
    """A refusal with Slack's own error code; `more` is added to the answer."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.code = code
        self.more = more


def invalid(code: str, *problems: str) -> SlackError:
    """Make a refusal that says in `response_metadata` what is wrong."""
    return SlackError(code, response_metadata={"messages": list(problems)})


def require_scope(workspace: Workspace, *scopes: str) -> None:
    """Refuse unless the app was granted one of these scopes."""
    granted = workspace.app.scopes
    if not granted.intersection(scopes):
        raise SlackError("missing_scope", needed=scopes[0], provided=",".join(sorted(granted)))


def find_channel(workspace: Workspace, arguments: Json, key: str = "channel") -> Channel:
    """Return a channel that the bot is in; a private one that it is not in does not exist for it."""
    channel = workspace.channels.get(str(arguments[key]))
    if channel is None:
        raise SlackError("channel_not_found")
    if workspace.bot_user not in channel.members:
        raise SlackError("not_in_channel" if channel.kind == "channel" else "channel_not_found")
    return channel


def find_readable(workspace: Workspace, arguments: Json, what: str) -> Channel:
    """Return a channel that the bot is in and may read: `what` is `read` or `history`, as in `channels:read`."""
    channel = find_channel(workspace, arguments)
    require_scope(workspace, f"{SCOPES[KINDS[channel.kind]]}:{what}")
    return channel


def find_message(workspace: Workspace, arguments: Json, key: str = "ts") -> Message:
    """Return a message; one that only a single person sees does not exist for the API."""
    channel = find_channel(workspace, arguments)
    message = workspace.find_message(channel.id, str(arguments[key]))
    if message is None or message.seen_by is not None:
        raise SlackError("message_not_found")
    return message


def find_own_message(workspace: Workspace, arguments: Json, refusal: str) -> Message:
    """Return a message of the bot."""
    message = find_message(workspace, arguments)
    if message.user != workspace.bot_user:
        raise SlackError(refusal)
    return message


def find_user(workspace: Workspace, arguments: Json, key: str = "user") -> str:
    """Return the id of a member."""
    user = str(arguments[key])
    if user not in workspace.members:
        raise SlackError("user_not_found")
    return user


def checked_blocks(arguments: Json) -> Blocks:
    """Return the blocks of a message, each with an id."""
    blocks = arguments.get("blocks") or []
    if problems := block_problems(blocks):
        raise invalid("invalid_blocks", *problems)
    if is_too_large(blocks):
        raise SlackError("msg_blocks_too_long")
    return with_ids(blocks, "b")


def checked_metadata(arguments: Json) -> Json:
    """Return the metadata of a message; empty when none is given."""
    metadata = arguments.get("metadata") or {}
    if not isinstance(metadata, dict) or (metadata and not _is_metadata(metadata)):
        raise SlackError("invalid_metadata_format")
    if len(json.dumps(metadata, ensure_ascii=False)) > METADATA_SIZE:
        raise SlackError("metadata_too_large")
    return metadata


def _is_metadata(given: Json) -> bool:
    event, payload = given.get("event_type"), given.get("event_payload")
    known = given.keys() <= {"event_type", "event_payload"}
    return known and isinstance(event, str) and bool(event) and isinstance(payload, dict)


def is_set(arguments: Json, key: str) -> bool:
    """Whether an argument that is true or false is true, however it was sent."""
    return str(arguments.get(key) or "").lower() in {"1", "true"}


def whole_number(arguments: Json, key: str, default: int, most: int) -> int:
    """Return a number of at least 1; Slack quietly lowers what is too large."""
    try:
        number = int(arguments.get(key) or default)
    except (TypeError, ValueError):
        raise invalid("invalid_arguments", f"[ERROR] must be an integer [json-pointer:/{key}]") from None
    if number < 1:
        raise SlackError("invalid_limit")
    return min(number, most)


def page(items: Sequence[Item], arguments: Json) -> tuple[list[Item], Json]:
    """Return the part of `items` that `limit` and `cursor` ask for, and the metadata that names the next part."""
    limit = whole_number(arguments, "limit", PAGE, MOST)
    start = _position(str(arguments.get("cursor") or ""))
    end = start + limit
    following = base64.b64encode(f"next:{end}".encode()).decode() if end < len(items) else ""
    return list(items[start:end]), {"next_cursor": following}


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    try:
        return int(base64.b64decode(cursor, validate=True).decode().removeprefix("next:"))
    except ValueError:
        raise SlackError("invalid_cursor") from None
