"""The methods `conversations.*`, `users.*`, `usergroups.*`, `team.info` and `bots.info`: who and what is where."""

from bot.workspace.calls import (
    KINDS,
    SCOPES,
    SlackError,
    find_channel,
    find_message,
    find_readable,
    find_user,
    invalid,
    is_set,
    page,
    require_scope,
    whole_number,
)
from bot.workspace.model import Channel, Json, Message, UserGroup
from bot.workspace.state import Workspace

MESSAGES = 100
MOST_MESSAGES = 999
GROUP = 8
"""Members that direct messages can be opened with at once."""


def conversations_list(workspace: Workspace, arguments: Json) -> Json:
    """List public channels, and the private ones and direct messages that the bot is in."""
    return _listed(workspace, arguments, workspace.bot_user, public=True)


def users_conversations(workspace: Workspace, arguments: Json) -> Json:
    """List the channels that a member, the bot by default, is in; of the private ones those that the bot is in, too."""
    user = find_user(workspace, arguments) if arguments.get("user") else workspace.bot_user
    return _listed(workspace, arguments, user, public=False)


def conversations_info(workspace: Workspace, arguments: Json) -> Json:
    """Describe a channel."""
    return {"channel": workspace.describe_channel(find_readable(workspace, arguments, "read"))}


def conversations_members(workspace: Workspace, arguments: Json) -> Json:
    """List the ids of a channel's members."""
    members, following = page(find_readable(workspace, arguments, "read").members, arguments)
    return {"members": members, "response_metadata": following}


def conversations_history(workspace: Workspace, arguments: Json) -> Json:
    """Return the latest messages of a channel, newest first, without the replies in threads."""
    channel = find_readable(workspace, arguments, "history")
    found = [each for each in workspace.messages(channel.id) if each.thread_ts in (None, each.ts)]
    return _messages(list(reversed(_visible(found, arguments))), arguments)


def conversations_replies(workspace: Workspace, arguments: Json) -> Json:
    """Return a thread: the message that began it, then its replies, the oldest first, so a limit keeps the oldest."""
    find_readable(workspace, arguments, "history")
    parent = find_message(workspace, arguments)
    replies = [parent, *workspace.messages(parent.channel, thread_ts=parent.ts)]
    return _messages(_visible(replies, arguments), arguments)


def conversations_open(workspace: Workspace, arguments: Json) -> Json:
    """Open the direct messages with one member, or with up to eight (`users` separated by commas)."""
    users = [find_user(workspace, {"user": user.strip()}) for user in str(arguments["users"]).split(",")]
    if len(users) > GROUP:
        raise SlackError("too_many_users")
    if len(users) == 1:
        channel = workspace.open_dm(users[0], workspace.bot_user)
    else:
        require_scope(workspace, "mpim:write")
        channel = workspace.open_group([*users, workspace.bot_user])
    return {"channel": workspace.describe_channel(channel) if arguments.get("return_im") else {"id": channel.id}}


def conversations_join(workspace: Workspace, arguments: Json) -> Json:
    """Let the bot join a public channel."""
    channel = workspace.channels.get(str(arguments["channel"]))
    if channel is None:
        raise SlackError("channel_not_found")
    if channel.kind != "channel":
        raise SlackError("method_not_supported_for_channel_type")
    already = workspace.bot_user in channel.members
    workspace.join_channel(workspace.bot_user, channel)
    return {"channel": workspace.describe_channel(channel), **({"warning": "already_in_channel"} if already else {})}


def users_list(workspace: Workspace, arguments: Json) -> Json:
    """List the members, the bot among them."""
    members, following = page(list(workspace.members.values()), arguments)
    return {"members": [workspace.describe_user(each) for each in members], "response_metadata": following}


def users_info(workspace: Workspace, arguments: Json) -> Json:
    """Describe a member."""
    return {"user": workspace.describe_user(workspace.members[find_user(workspace, arguments)])}


def usergroups_list(workspace: Workspace, arguments: Json) -> Json:
    """List the user groups, without those that are turned off unless they are asked for."""
    shown = [each for each in workspace.user_groups.values() if _is_asked_for(each, arguments)]
    users, count = is_set(arguments, "include_users"), is_set(arguments, "include_count")
    return {"usergroups": [workspace.describe_user_group(each, users=users, count=count) for each in shown]}


def usergroups_users_list(workspace: Workspace, arguments: Json) -> Json:
    """List the ids of those in a user group."""
    group = workspace.user_groups.get(str(arguments["usergroup"]))
    if group is None or not _is_asked_for(group, arguments):
        raise SlackError("no_such_subteam")
    return {"users": list(group.users)}


def bots_info(workspace: Workspace, arguments: Json) -> Json:
    """Describe the app's own bot."""
    app = workspace.app
    if arguments.get("bot") not in (None, app.bot_id):
        raise SlackError("bot_not_found")
    return {"bot": {"id": app.bot_id, "app_id": app.app_id, "name": app.name, "user_id": app.bot_user}}


def team_info(workspace: Workspace, _: Json) -> Json:
    """Describe the workspace."""
    return {"team": {"id": workspace.team_id, "name": workspace.team_name, "domain": "localhost"}}


def reactions_get(workspace: Workspace, arguments: Json) -> Json:
    """Return a message with its reactions."""
    channel = find_channel(workspace, arguments)
    message = find_message(workspace, arguments, "timestamp")
    return {"type": "message", "channel": channel.id, "message": message.public()}


def _is_asked_for(group: UserGroup, arguments: Json) -> bool:
    return not group.date_delete or is_set(arguments, "include_disabled")


def _listed(workspace: Workspace, arguments: Json, user: str, *, public: bool) -> Json:
    """List channels of the kinds asked for, each of which needs its own scope."""
    kinds = [kind.strip() for kind in str(arguments.get("types") or "public_channel").split(",")]
    if not set(kinds) <= set(SCOPES):
        raise SlackError("invalid_types")
    for kind in kinds:
        require_scope(workspace, f"{SCOPES[kind]}:read")

    def is_shown(channel: Channel) -> bool:
        joined = {user, workspace.bot_user} <= set(channel.members)
        return KINDS[channel.kind] in kinds and (
            joined or (channel.kind == "channel" and (public or user in channel.members))
        )

    found, following = page([each for each in workspace.channels.values() if is_shown(each)], arguments)
    return {"channels": [workspace.describe_channel(each) for each in found], "response_metadata": following}


def _visible(messages: list[Message], arguments: Json) -> list[Message]:
    """Keep the messages between `oldest` and `latest`, these two only if `inclusive`, that all may see."""
    oldest, latest = _moment(arguments, "oldest"), _moment(arguments, "latest")
    inclusive = is_set(arguments, "inclusive")

    def is_within(message: Message) -> bool:
        at = float(message.ts)
        bounds = (bound for bound in (oldest, latest) if bound is not None)
        if any(at == bound for bound in bounds):
            return inclusive
        return (oldest is None or at > oldest) and (latest is None or at < latest)

    return [message for message in messages if message.seen_by is None and is_within(message)]


def _moment(arguments: Json, key: str) -> float | None:
    given = arguments.get(key)
    try:
        return None if given in (None, "") else float(str(given))
    except ValueError:
        raise invalid(f"invalid_ts_{key}", f"[ERROR] must be a timestamp [json-pointer:/{key}]") from None


def _messages(messages: list[Message], arguments: Json) -> Json:
    limit = whole_number(arguments, "limit", MESSAGES, MOST_MESSAGES)
    found, following = page(messages, {**arguments, "limit": limit})
    more, metadata = bool(following["next_cursor"]), is_set(arguments, "include_all_metadata")
    shown = [each.public(metadata=metadata) for each in found]
    return {"messages": shown, "has_more": more, "response_metadata": following}
