"""The app's manifest for Slack: the one place that says which scopes, events and shortcuts the code uses."""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class Shortcut:
    """An entry in the menu of a message."""

    callback_id: str
    name: str


@dataclass(frozen=True)
class Manifest:
    """What the app asks of a workspace."""

    name: str
    description: str
    scopes: frozenset[str]
    events: frozenset[str]
    shortcuts: tuple[Shortcut, ...]
    commands: tuple[str, ...]
    socket_mode: bool


def manifest_text() -> str:
    """Return the manifest as it is pasted at api.slack.com/apps, Create New App, From a manifest."""
    return resources.files("bot.slack").joinpath("manifest.json").read_text(encoding="utf-8")


def read_manifest() -> Manifest:
    """Return the manifest's content."""
    content: dict[str, Any] = json.loads(manifest_text())
    features, settings = content["features"], content["settings"]
    return Manifest(
        name=content["display_information"]["name"],
        description=content["display_information"]["description"],
        scopes=frozenset(content["oauth_config"]["scopes"]["bot"]),
        events=frozenset(settings["event_subscriptions"]["bot_events"]),
        shortcuts=tuple(Shortcut(entry["callback_id"], entry["name"]) for entry in features.get("shortcuts", [])),
        commands=tuple(entry["command"] for entry in features.get("slash_commands", [])),
        socket_mode=settings["socket_mode_enabled"],
    )
