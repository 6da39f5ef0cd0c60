"""The methods `chat.*`: messages that the app posts, changes, takes back, and streams."""

from collections.abc import Mapping
from typing import Any

from bot.workspace.blocks import block_problems
from bot.workspace.calls import (
    SlackError,
    checked_blocks,
    checked_metadata,
    find_channel,
    find_message,
    find_own_message,
    find_user,
    invalid,
)
from bot.workspace.model import Channel, Json, Message
from bot.workspace.sessions import SESSION_STATES
from bot.workspace.state import Workspace

MESSAGE_TEXT = 40_000
UPDATE_TEXT = 4_000
"""Characters of the text in `chat.update`; Slack documents more, and answers `msg_too_long`
(ChatGPT-in-Slack issue 102)."""
MARKDOWN_TEXT = 12_000
STREAMED_MESSAGE = 12_000
"""Characters of a streamed message in all, from which on Slack refuses more (CopilotKit pull request 6064)."""
LOST_MESSAGE = 13_000
"""Characters past which a streamed message was seen to vanish, though Slack had taken the text."""
CHUNKS: Mapping[str, tuple[str, ...]] = {
    "markdown_text": ("text",),
    "task_update": ("id", "title", "status"),
    "plan_update": ("title",),
    "blocks": ("blocks",),
}
"""Kind of a chunk -> what it must have."""
TASK_STATUSES = ("pending", "in_progress", "complete", "error")
TASK_TITLE = 256
DISPLAY_MODES = frozenset({"timeline", "plan"})


def post_message(workspace: Workspace, arguments: Json) -> Json:
    """Post a message; a member's id in place of a channel means the direct messages with that member."""
    channel = _place(workspace, arguments)
    message = _from_app(
        workspace,
        channel,
        thread_ts=_thread(workspace, channel, arguments),
        metadata=checked_metadata(arguments),
        **content_of(arguments, MESSAGE_TEXT),
    )
    workspace.post(message)
    return {"channel": channel.id, "ts": message.ts, "message": message.public()}


def post_ephemeral(workspace: Workspace, arguments: Json) -> Json:
    """Show a message to one person in a channel."""
    channel, user = find_channel(workspace, arguments), find_user(workspace, arguments)
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    message = _from_app(
        workspace,
        channel,
        thread_ts=_thread(workspace, channel, arguments),
        seen_by=user,
        **content_of(arguments, MESSAGE_TEXT),
    )
    workspace.post(message)
    return {"message_ts": message.ts}


def update(workspace: Workspace, arguments: Json) -> Json:
    """Change a message of the app. Blocks that are not given again go, as in Slack, because a text was given."""
    message = find_own_message(workspace, arguments, "cant_update_message")
    if workspace.stream_is_open(message):
        raise SlackError("streaming_state_conflict")
    content = {**content_of(arguments, UPDATE_TEXT), "metadata": checked_metadata(arguments) or message.metadata}
    workspace.change(message, edited=not content["blocks"], streaming=False, **content)
    return {"channel": message.channel, "ts": message.ts, "text": message.text, "message": message.public()}


def delete(workspace: Workspace, arguments: Json) -> Json:
    """Remove a message of the app."""
    message = find_own_message(workspace, arguments, "cant_delete_message")
    workspace.delete(message)
    return {"channel": message.channel, "ts": message.ts}


def permalink(workspace: Workspace, arguments: Json) -> Json:
    """Return an address at which the page shows the message."""
    message = find_message(workspace, arguments, "message_ts")
    where = f"{workspace.address}/?channel={message.channel}&message={message.ts}"
    return {"channel": message.channel, "permalink": where}


def start_stream(workspace: Workspace, arguments: Json) -> Json:
    """Begin a message that grows; outside direct messages Slack wants to know for whom."""
    channel = find_channel(workspace, arguments)
    if not channel.is_im:
        recipient, team = str(arguments.get("recipient_user_id") or ""), arguments.get("recipient_team_id")
        if not team or (recipient in workspace.members and team != workspace.team_of(recipient)):
            raise SlackError("missing_recipient_team_id")
        if recipient not in workspace.members:
            raise SlackError("missing_recipient_user_id")
    if arguments.get("task_display_mode", "timeline") not in DISPLAY_MODES:
        raise invalid("invalid_arguments", "[ERROR] must be timeline or plan [json-pointer:/task_display_mode]")
    message = _from_app(
        workspace,
        channel,
        thread_ts=_thread(workspace, channel, arguments),
        text=_streamed(workspace, arguments),
        markdown=True,
        streaming=True,
        tasks=_tasks([], arguments),
    )
    workspace.begin_stream(message)
    workspace.stream_modes[channel.id, message.ts] = _mode(arguments)
    return {"channel": channel.id, "ts": message.ts}


def append_stream(workspace: Workspace, arguments: Json) -> Json:
    """Let a message grow."""
    message = _streaming(workspace, arguments)
    if not arguments.get("markdown_text") and not arguments.get("chunks"):
        raise SlackError("no_text")
    _grow(workspace, message, arguments)
    return {"channel": message.channel, "ts": message.ts}


def stop_stream(workspace: Workspace, arguments: Json) -> Json:
    """End a message that grew; its blocks are shown below the text."""
    message, session = _streaming(workspace, arguments), str(arguments.get("session_status") or "active")
    if session not in SESSION_STATES:
        raise invalid("invalid_arguments", "[ERROR] is not a status [json-pointer:/session_status]")
    blocks, metadata = checked_blocks(arguments), checked_metadata(arguments) or message.metadata
    _grow(workspace, message, arguments, blocks=blocks, metadata=metadata, streaming=False)
    workspace.set_session(message.channel, str(message.thread_ts), session)
    return {"channel": message.channel, "ts": message.ts, "message": message.public()}


def content_of(arguments: Json, limit: int) -> dict[str, Any]:
    """Check what a message is to say; return its `text`, its `blocks`, and whether the text is standard markdown."""
    text, markdown = str(arguments.get("text") or ""), str(arguments.get("markdown_text") or "")
    if markdown and (text or arguments.get("blocks")):
        raise SlackError("markdown_text_conflict")
    if not text and not markdown and not arguments.get("blocks"):
        raise SlackError("no_text")
    if len(text) > limit or len(markdown) > MARKDOWN_TEXT:
        raise SlackError("msg_too_long")
    return {"text": text or markdown, "markdown": bool(markdown), "blocks": checked_blocks(arguments)}


def _from_app(workspace: Workspace, channel: Channel, **content: Any) -> Message:
    app = workspace.app
    return Message(ts=workspace.next_ts(), channel=channel.id, user=app.bot_user, bot_id=app.bot_id, **content)


def _place(workspace: Workspace, arguments: Json) -> Channel:
    wanted = str(arguments["channel"])
    if wanted in workspace.members:
        return workspace.open_dm(wanted, workspace.bot_user)
    return find_channel(workspace, arguments)


def _thread(workspace: Workspace, channel: Channel, arguments: Json) -> str | None:
    thread_ts = arguments.get("thread_ts")
    if thread_ts is None:
        return None
    begun_by = workspace.find_message(channel.id, str(thread_ts))
    if begun_by is None or begun_by.seen_by is not None:
        raise SlackError("thread_not_found")
    return str(thread_ts)


def _streaming(workspace: Workspace, arguments: Json) -> Message:
    message = find_own_message(workspace, arguments, "message_not_owned_by_app")
    if workspace.was_stopped(message):
        raise SlackError("stopped_by_user")
    if not workspace.stream_is_open(message):
        raise SlackError("message_not_in_streaming_state")
    return message


def _mode(arguments: Json) -> str:
    """Return in which of the two ways a call gives content: a stream takes all of it in the same way."""
    return "chunks" if arguments.get("chunks") else "markdown_text" if arguments.get("markdown_text") else ""


def _tasks(shown: list[Json], arguments: Json) -> list[Json]:
    """Return a message's task lines after a call: one with a known id changes in place."""
    tasks = {task["id"]: task for task in shown}
    for chunk in arguments.get("chunks") or []:
        if chunk["type"] == "task_update":
            tasks[chunk["id"]] = tasks.get(chunk["id"], {}) | {
                name: value for name, value in chunk.items() if name != "type"
            }
    return list(tasks.values())


def _streamed(workspace: Workspace, arguments: Json) -> str:
    """Return the text that a call adds to a stream."""
    chunks = arguments.get("chunks") or []
    if not isinstance(chunks, list) or not all(_is_chunk(each) for each in chunks):
        raise invalid("invalid_chunks", "[ERROR] chunks must be a list of chunks [json-pointer:/chunks]")
    if workspace.faults.no_tasks and any(each["type"] == "task_update" for each in chunks):
        raise invalid("invalid_arguments", "[ERROR] is not known [json-pointer:/chunks]")
    written = [str(each.get("text") or "") for each in chunks if each["type"] == "markdown_text"]
    texts = [str(arguments.get("markdown_text") or ""), *written]
    if any(len(text) > MARKDOWN_TEXT for text in texts):
        raise SlackError("msg_too_long")
    return "".join(texts)


def _is_chunk(chunk: object) -> bool:
    if not isinstance(chunk, dict) or not isinstance(kind := chunk.get("type"), str) or kind not in CHUNKS:
        return False
    if not all(chunk.get(name) for name in CHUNKS[kind]):
        return False
    if kind == "blocks":
        return not block_problems(chunk["blocks"])
    return kind != "task_update" or (len(chunk["title"]) <= TASK_TITLE and chunk["status"] in TASK_STATUSES)


def _grow(workspace: Workspace, message: Message, arguments: Json, **changes: Any) -> None:
    """Add text and task lines to a streamed message, which has them, refuses them, or is gone."""
    mode = workspace.stream_modes.setdefault((message.channel, message.ts), _mode(arguments))
    if _mode(arguments) not in ("", mode or _mode(arguments)):
        raise SlackError("streaming_mode_mismatch")
    whole = message.text + _streamed(workspace, arguments)
    if STREAMED_MESSAGE < len(whole) <= LOST_MESSAGE:
        raise SlackError("msg_too_long")
    if len(whole) > LOST_MESSAGE:
        workspace.lose(message)
    else:
        workspace.change(message, text=whole, tasks=_tasks(message.tasks, arguments), **changes)
