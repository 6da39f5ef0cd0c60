"""What went wrong with a call to Slack: what was said, whether it passes, and whether the call may have been done."""

from dataclasses import dataclass

import aiohttp
from slack_sdk.errors import SlackApiError
from sqlalchemy.exc import OperationalError

SERVER_ERROR = 500
RATE_LIMITED = 429
PASSING_SLACK_ERRORS = {"ratelimited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
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
TOKEN_REFUSALS = {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"}
"""Refusals that are not about the call, and that an operator mends; what is owed then waits for that."""
MEANINGS = {
    "channel_not_found": "the channel is gone, or the bot is not in it",
    "not_in_channel": "the bot is not in the channel; invite it",
    "user_not_in_channel": "the person has left the channel",
    "is_archived": "the channel is archived",
    "restricted_action": "the workspace's settings do not let the bot post there",
    "missing_scope": "the app was not granted a scope that this needs; install it again from its manifest",
    "invalid_auth": "Slack does not take the bot's token",
    "account_inactive": "the app was uninstalled from the workspace",
    "token_revoked": "the app was uninstalled from the workspace",
    "msg_too_long": "the text is longer than Slack takes",
}


@dataclass(frozen=True)
class Trouble:
    """Why a call failed.

    `passing`: it may work later. `in_doubt`: Slack may have done it all the same. `rest_s`: for so many seconds Slack
    wants no such call.
    """

    why: str
    passing: bool
    in_doubt: bool
    rest_s: int | None = None


def trouble_of(error: Exception) -> Trouble:
    """Say what an error tells of a call; only a refusal tells for certain that it was not done."""
    if not isinstance(error, SlackApiError):
        return Trouble(f"{type(error).__name__}: {error}", passing=is_passing(error), in_doubt=True)
    code = error_code(error)
    if _status(error) == RATE_LIMITED:
        return Trouble(code, passing=True, in_doubt=False, rest_s=int(error.response.headers.get("Retry-After", 1)))
    why, passing = f"{code} ({MEANINGS[code]})" if code in MEANINGS else code, is_passing(error)
    return Trouble(why, passing=passing or code in TOKEN_REFUSALS, in_doubt=passing)


def error_code(error: SlackApiError) -> str:
    """Return Slack's error code, or the HTTP status where the answer was no JSON (a proxy's page, for example)."""
    data = getattr(error.response, "data", None)
    return str(data.get("error", "unknown")) if isinstance(data, dict) else f"http_{_status(error)}"


def is_passing(error: Exception) -> bool:
    """Whether the same thing may work if it is tried again."""
    if isinstance(error, SlackApiError):
        status = _status(error)
        return status >= SERVER_ERROR or status == RATE_LIMITED or error_code(error) in PASSING_SLACK_ERRORS
    return isinstance(error, (aiohttp.ClientError, TimeoutError, ConnectionError, OperationalError))


def _status(error: SlackApiError) -> int:
    """Return the HTTP status; an answer that broke off in the middle counts as the server's trouble, whatever it is."""
    return int(getattr(error.response, "status_code", SERVER_ERROR))
