"""The methods `chat.*`: messages that the app posts, changes, takes back, and streams."""

from typing import Any

from bot.workspace.calls import (
    SlackError,
    checked_blocks,
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
STREAMED_MESSAGE = 13_000
CHUNKS = frozenset({"markdown_text", "task_update", "plan_update", "blocks"})
TASK_STATES = frozenset({"pending", "in_progress", "complete", "error"})
TASK_TITLE = 256
DISPLAY_MODES = frozenset({"timeline", "plan"})


def post_message(workspace: Workspace, arguments: Json) -> Json:
    """Post a message; a member's id in place of a channel means the direct messages with that member."""
    channel = _place(workspace, arguments)
    message = _from_app(
        workspace,
        channel,
        thread_ts=_thread(workspace, channel, arguments),
        metadata=arguments.get("metadata") or {},
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
    content = content_of(arguments, UPDATE_TEXT)
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
        if arguments.get("recipient_team_id") != workspace.team_id:
            raise SlackError("missing_recipient_team_id")
        if arguments.get("recipient_user_id") not in workspace.members:
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
    workspace.set_status(channel.id, str(arguments["thread_ts"]), "")
    workspace.begin_stream(message)
    workspace.stream_modes[channel.id, message.ts] = _mode(arguments)
    return {"channel": channel.id, "ts": message.ts}


def append_stream(workspace: Workspace, arguments: Json) -> Json:
    """Let a message grow."""
    message = _streaming(workspace, arguments)
    if not arguments.get("markdown_text") and not arguments.get("chunks"):
        raise SlackError("no_text")
    workspace.change(message, text=_grown(workspace, message, arguments), tasks=_tasks(message.tasks, arguments))
    return {"channel": message.channel, "ts": message.ts}


def stop_stream(workspace: Workspace, arguments: Json) -> Json:
    """End a message that grew; its blocks are shown below the text."""
    message, session = _streaming(workspace, arguments), str(arguments.get("session_status") or "active")
    if session not in SESSION_STATES:
        raise invalid("invalid_arguments", "[ERROR] is not a status [json-pointer:/session_status]")
    text, blocks = _grown(workspace, message, arguments), checked_blocks(arguments)
    metadata, tasks = arguments.get("metadata") or message.metadata, _tasks(message.tasks, arguments)
    workspace.change(message, text=text, blocks=blocks, metadata=metadata, tasks=tasks, streaming=False)
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
    if workspace.find_message(channel.id, str(thread_ts)) is None:
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


def _is_task(chunk: Json) -> bool:
    named = all(isinstance(chunk.get(name), str) and chunk[name] for name in ("id", "title"))
    return named and len(chunk["title"]) <= TASK_TITLE and chunk.get("status") in TASK_STATES


def _streamed(workspace: Workspace, arguments: Json) -> str:
    """Return the text that a call adds to a stream."""
    chunks = arguments.get("chunks") or []
    if not isinstance(chunks, list) or not all(
        isinstance(each, dict) and each.get("type") in CHUNKS for each in chunks
    ):
        raise invalid("invalid_arguments", "[ERROR] chunks must be a list of chunks [json-pointer:/chunks]")
    tasks = [each for each in chunks if each["type"] == "task_update"]
    if (workspace.faults.no_tasks and tasks) or not all(map(_is_task, tasks)):
        raise invalid("invalid_arguments", "[ERROR] is not a task [json-pointer:/chunks]")
    written = [str(each.get("text") or "") for each in chunks if each["type"] == "markdown_text"]
    texts = [str(arguments.get("markdown_text") or ""), *written]
    if any(len(text) > MARKDOWN_TEXT for text in texts):
        raise SlackError("msg_too_long")
    return "".join(texts)


def _grown(workspace: Workspace, message: Message, arguments: Json) -> str:
    mode = workspace.stream_modes.setdefault((message.channel, message.ts), _mode(arguments))
    if _mode(arguments) not in ("", mode or _mode(arguments)):
        raise SlackError("streaming_mode_mismatch")
    text = message.text + _streamed(workspace, arguments)
    if len(text) > STREAMED_MESSAGE:
        raise SlackError("msg_too_long")
    return text
