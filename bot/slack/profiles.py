"""What Slack's `users.info` says of a person, in our words. Pure."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from storage.people import Profile, Standing

SLACKBOT = "USLACKBOT"
"""Slack's own bot, of which `is_bot` is false."""


def home_of(user: Mapping[str, Any], team: str) -> str:
    """Return the workspace that a person belongs to; somebody of an organisation's several workspaces is at home here.

    `is_stranger` does not tell: it is set only for those with whom the app shares no channel.
    """
    if team in user.get("enterprise_user", {}).get("teams", []):
        return team
    return str(user.get("team_id") or team)


def profile_of(user: Mapping[str, Any], team: str) -> Profile:
    """Return a person's profile as the workspace `team` sees it."""
    profile = user.get("profile", {})
    name = profile.get("display_name") or user.get("real_name") or user.get("name") or user["id"]
    return Profile(str(name), _zone_of(user), _standing_of(user, team))


def _standing_of(user: Mapping[str, Any], team: str) -> Standing:
    if user.get("is_bot") or user["id"] == SLACKBOT:
        return "bot"
    if home_of(user, team) != team:
        return "external"
    return "guest" if user.get("is_restricted") or user.get("is_ultra_restricted") else "member"


def _zone_of(user: Mapping[str, Any]) -> str:
    """Return the person's time zone if this machine knows it."""
    name = str(user.get("tz") or "UTC")
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return "UTC"
    return name
