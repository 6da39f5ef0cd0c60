"""Answers to a response URL, which an app gets with each interaction and may use without a token."""

from bot.workspace.calls import SlackError
from bot.workspace.chat import MESSAGE_TEXT, content_of
from bot.workspace.model import Json, Message
from bot.workspace.state import Workspace


def respond(workspace: Workspace, key: str, body: Json) -> tuple[int, str]:
    """Replace or delete the message that was clicked on, or post another; return HTTP status and text as Slack does."""
    target, refusal = workspace.use_response_url(key)
    if target is None:
        return 404, refusal
    original = workspace.find_message(target.channel, target.ts) if target.ts else None
    try:
        if body.get("delete_original") and original is not None:
            workspace.delete(original)
            return 200, "ok"
        content = content_of(body, MESSAGE_TEXT)
    except SlackError as error:
        return 400, error.code
    if body.get("replace_original") and original is not None:
        workspace.change(original, edited=not content["blocks"], **content)
    else:
        only = None if body.get("response_type") == "in_channel" else target.user
        thread_ts = body.get("thread_ts") or (original.thread_ts if original else None)
        workspace.post(
            Message(
                workspace.next_ts(), target.channel, workspace.bot_user,
                bot_id=workspace.app.bot_id, thread_ts=thread_ts, seen_by=only, **content,
            )
        )  # fmt: skip
    return 200, "ok"
