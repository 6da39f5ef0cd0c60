"""What Slack's bodies of clicks and forms have in common, whatever was clicked or filled in. Pure."""

from collections.abc import Mapping
from typing import Any

from bot.slack import names


def clicked(body: Mapping[str, Any]) -> dict[str, str]:
    """Say who pressed a button of a message that all can see, and where: team, channel, user and message_ts."""
    return {
        "team": body["team"]["id"],
        "channel": body["channel"]["id"],
        "user": body["user"]["id"],
        "message_ts": body["message"]["ts"],
    }


def typed(view: Mapping[str, Any], block_id: str) -> str:
    """Return what somebody typed into a field of a form."""
    return str(view["state"]["values"][block_id][names.INPUT_ACTION].get("value") or "")
