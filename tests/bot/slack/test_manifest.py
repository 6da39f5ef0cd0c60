"""The manifest asks for what the code uses, no more and no less: what it uses is read from the code itself."""

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

import bot
from bot.slack import jobs, names
from bot.slack.manifest import manifest_for_http, manifest_text, read_manifest
from bot.workspace import events, web_api
from bot.workspace.model import AppDefinition, Channel, Message
from storage.errors import ConfigurationError

SOURCES = Path(bot.__file__).parent
CODE = [path for path in SOURCES.rglob("*.py") if path.relative_to(SOURCES).parts[0] != "workspace"]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in CODE}
SLACK = {path: tree for path, tree in TREES.items() if path.is_relative_to(SOURCES / "slack")}

UNSCOPED = {"agent_session_stopped", "app_home_opened", "app_uninstalled", "member_joined_channel", "tokens_revoked"}
"""Events that an app may subscribe to without a scope; what one tells of may need one."""
BUILT_OF = {"chat_stream": ("chat.startStream", "chat.appendStream", "chat.stopStream")}
"""What the SDK offers beside one function for each method."""
KINDS = {
    "message.channels": Channel("C1", "general", ("U1",)),
    "message.groups": Channel("G1", "secret", ("U1",), is_private=True),
    "message.im": Channel("D1", "U1", ("U1",), is_im=True),
    "message.mpim": Channel("G2", "three", ("U1", "U2"), is_mpim=True),
}
APP = AppDefinition("Apprentice", "xoxb", "xapp", frozenset(), frozenset(), bot_user="UBOT")
COMMANDS = "commands"


def called() -> Iterator[str]:
    """Give each method of the Web API that the code calls, on whatever object, as Slack names it."""
    known = {name.replace(".", "_"): name for name in web_api.METHODS}
    for tree in TREES.values():
        for node in ast.walk(tree):
            name = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            if name in BUILT_OF:
                yield from BUILT_OF[name]
            elif "_" in name.strip("_") and name in vars(AsyncWebClient):
                assert name in known, f"{name} is called, but the local workspace has no such method"
                yield known[name]


def handled() -> set[str]:
    """Return the subscriptions to which the events belong that become jobs."""
    types = {event for event in compared() if event in events.SCOPES or event in UNSCOPED}
    return types | {subscription for subscription, channel in KINDS.items() if concerns(channel)}


def compared() -> Iterator[str]:
    """Give the texts that the code of `bot.slack` compares something with: by `==`, `match`, in a set or a table."""
    for tree in SLACK.values():
        for node in ast.walk(tree):
            match node:
                case ast.Compare():
                    candidates = [node.left, *node.comparators]
                case ast.MatchValue():
                    candidates = [node.value]
                case ast.Set() | ast.Tuple() | ast.List():
                    candidates = list(node.elts)
                case ast.Dict():
                    candidates = [key for key in node.keys if key is not None]
                case _:
                    continue
            yield from (
                each.value for each in candidates if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )


def concerns(channel: Channel) -> bool:
    """Whether a message in such a channel, of which all is heard, can become a job: new, in a thread, or changed.

    A mention needs none of these events: it comes as `app_mention`.
    """
    new = Message("2.1", channel.id, "U1", "hello")
    reply = Message("2.1", channel.id, "U1", "hello", thread_ts="1.1")
    told = [
        *events.of_message(new, channel, APP, "T1"),
        *events.of_message(reply, channel, APP, "T1"),
        events.of_change({**reply.public(), "text": "hell"}, reply, channel, "2.2"),
        events.of_removal(reply, channel, "2.2"),
    ]
    hearing = jobs.Hearing(frozenset({("T1", channel.id)}))
    return any(jobs.job_of_event(body(event.content), hearing) is not None for event in told)


def body(event: dict[str, Any]) -> dict[str, Any]:
    installed = [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}]
    return {"type": "event_callback", "team_id": "T1", "event_id": "E", "event": event, "authorizations": installed}


def registered(*decorators: str) -> set[str]:
    """Return the identifiers with which the code calls such functions of the Bolt app."""
    found = set()
    for tree in SLACK.values():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in decorators
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "app"
                and node.args
            ):
                found.add(identifier(node.args[0]))
    return found


def identifier(given: ast.expr) -> str:
    if isinstance(given, ast.Constant):
        return str(given.value)
    assert isinstance(given, ast.Attribute), f"{ast.unparse(given)} is no name that can be read from the code"
    return str(getattr(names, given.attr))


def test_each_method_that_is_called_has_a_scope_that_the_manifest_asks_for() -> None:
    granted = read_manifest().scopes
    wanting = {name: web_api.METHODS[name].scopes for name in called()}
    assert {name: scopes for name, scopes in wanting.items() if scopes and not granted.intersection(scopes)} == {}
    assert len(wanting) > 10, "the code was read"


def test_the_manifest_subscribes_to_the_events_that_become_jobs_and_to_no_other() -> None:
    assert read_manifest().events == handled()


def test_the_manifest_has_the_scope_of_each_event() -> None:
    manifest = read_manifest()
    needed = {events.SCOPES[event] for event in manifest.events if event in events.SCOPES}
    assert needed <= manifest.scopes


def test_no_scope_is_asked_for_that_nothing_uses() -> None:
    manifest = read_manifest()
    used = {scope for name in called() for scope in web_api.METHODS[name].scopes}
    used |= {events.SCOPES[event] for event in manifest.events if event in events.SCOPES}
    used |= {COMMANDS} if manifest.shortcuts or manifest.commands else set()
    assert manifest.scopes - used == set()


def test_the_manifest_names_the_shortcuts_and_commands_that_the_code_listens_to() -> None:
    manifest = read_manifest()
    assert {shortcut.callback_id for shortcut in manifest.shortcuts} == registered(
        "shortcut", "message_shortcut", "global_shortcut"
    )
    assert set(manifest.commands) == registered("command")


def test_the_manifest_asks_for_socket_mode() -> None:
    assert read_manifest().socket_mode


def test_the_manifest_that_operators_are_pointed_to_is_the_one_that_the_code_reads() -> None:
    assert (Path(__file__).parents[3] / "deploy" / "slack-manifest.json").read_text() == manifest_text()


@pytest.mark.parametrize("address", ["https://bot.example.org", "https://bot.example.org/"])
def test_the_manifest_for_http_mode_names_the_address_wherever_slack_needs_it(address: str) -> None:
    content = json.loads(manifest_for_http(address))
    settings, url = content["settings"], "https://bot.example.org/slack/events"
    assert not settings["socket_mode_enabled"]
    assert settings["event_subscriptions"]["request_url"] == settings["interactivity"]["request_url"] == url
    assert all(command["url"] == url for command in content["features"].get("slash_commands", []))
    assert content["oauth_config"]["redirect_urls"] == ["https://bot.example.org/slack/oauth_redirect"]


def test_but_for_that_both_manifests_ask_for_the_same() -> None:
    without: Callable[[str], list[Any]] = lambda text: [  # noqa: E731
        (content := json.loads(text))["oauth_config"]["scopes"],
        content["settings"]["event_subscriptions"]["bot_events"],
        content["display_information"],
    ]
    assert without(manifest_for_http("https://bot.example.org")) == without(manifest_text())


@pytest.mark.parametrize("address", ["http://bot.example.org", "bot.example.org", "https://", "https://b.org/?x=1"])
def test_an_address_that_slack_would_not_use_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="https://"):
        manifest_for_http(address)
