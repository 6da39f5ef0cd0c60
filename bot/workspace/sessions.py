"""The method `agents.sessions.setStatus`: whether the app works in a thread, which gives people a Stop button there."""

from bot.workspace.calls import SlackError, find_channel, invalid
from bot.workspace.model import Json
from bot.workspace.state import STOPPED, Workspace

SESSION_STATES = frozenset({"active", "processing", "suspended", "closed"})
UNHEARD = "missing_agent_session_stopped_event_subscription"


def set_status(workspace: Workspace, arguments: Json) -> Json:
    """Set the status of a thread's session; a warning says when the app would not hear of the button."""
    channel, thread_ts = find_channel(workspace, arguments, "channel_id"), str(arguments["thread_ts"])
    status = str(arguments["status"])
    if status not in SESSION_STATES:
        raise invalid("invalid_arguments", "[ERROR] is not a status [json-pointer:/status]")
    if workspace.find_message(channel.id, thread_ts) is None:
        raise SlackError("thread_not_found")
    workspace.set_session(channel.id, thread_ts, status)
    return {"status": status} | ({} if STOPPED in workspace.app.events else {"warning": UNHEARD})
