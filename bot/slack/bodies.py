"""What Slack's bodies of clicks and forms have in common, whatever was clicked or filled in. Pure."""

import json
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


def explained(body: Mapping[str, Any]) -> dict[str, str]:
    """Say who gave which reason in a form (`delivery` is its view's id), with what the form was about."""
    view = body["view"]
    return {
        "team": body["team"]["id"],
        "user": body["user"]["id"],
        "reason": typed(view, names.REASON_BLOCK).strip(),
        "delivery": view["id"],
        **json.loads(view["private_metadata"]),
    }


def typed(view: Mapping[str, Any], block_id: str) -> str:
    """Return what somebody typed into a field of a form."""
    return str(view["state"]["values"][block_id][names.INPUT_ACTION].get("value") or "")
