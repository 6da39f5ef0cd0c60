"""The app's manifest for Slack: the one place that says which scopes, events and shortcuts the code uses.

The file is the manifest for Socket Mode; the one for HTTP mode is made from it.
"""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from storage.errors import ConfigurationError

EVENTS_PATH = "/slack/events"
INSTALL_PATH = "/slack/install"
REDIRECT_PATH = "/slack/oauth_redirect"


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


def manifest_for_http(address: str) -> str:
    """Return the manifest of an app that is sent requests at an address, such as `https://apprentice.example.org`.

    Raises:
        ConfigurationError: Slack sends no requests to such an address.

    """
    parts = urlsplit(address)
    if parts.scheme != "https" or not parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(f"{address} is not an address that Slack sends requests to. Give one with https://.")
    root = address.rstrip("/")
    content: dict[str, Any] = json.loads(manifest_text())
    settings = content["settings"]
    settings["socket_mode_enabled"] = False
    for section in (settings["event_subscriptions"], settings["interactivity"]):
        section["request_url"] = root + EVENTS_PATH
    for command in content["features"].get("slash_commands", []):
        command["url"] = root + EVENTS_PATH
    content["oauth_config"]["redirect_urls"] = [root + REDIRECT_PATH]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


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
