"""What Slack said when it refused a call."""

from slack_sdk.errors import SlackApiError

SERVER_ERROR = 500
NOT_CHANGEABLE = {
    "cant_update_message",
    "channel_not_found",
    "edit_window_closed",
    "is_archived",
    "is_inactive",
    "message_not_found",
    "not_in_channel",
}
"""Codes for a message that will not change any more, whatever is tried."""


def error_code(error: SlackApiError) -> str:
    """Return Slack's error code, or the HTTP status where the answer was no JSON (a proxy's page, for example)."""
    data = error.response.data
    return str(data.get("error", "unknown")) if isinstance(data, dict) else f"http_{error.response.status_code}"


def is_server_error(error: SlackApiError) -> bool:
    """Whether the refusal is Slack's own trouble."""
    return int(error.response.status_code) >= SERVER_ERROR
