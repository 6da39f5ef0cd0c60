"""`apprentice doctor`: what is wrong, and what to do about it."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from storage import outbox
from storage.database import Database
from storage.outbox import OutboxCall
from storage.policies import list_versions
from storage.records import utc_now
from tests.bot.commands import CommandLine, Result
from tests.bot.workspace.conftest import APP, BOT, Town, town
from tests.governance.installation import APPROVER, Clock, Installation
from tests.learning.server_double import BASE, Double
from tests.learning.tiny import make_tiny_base

__all__ = ["town"]


def of(result: Result, name: str) -> list[dict[str, Any]]:
    return [check for check in result.json if check["name"] == name]


def test_a_sound_installation_has_no_failed_check(apprentice: CommandLine) -> None:
    apprentice.set(MODEL__BASE=str(make_tiny_base(apprentice.folder / "base").path))
    result = apprentice("doctor", "--json")
    assert result.status == 0
    assert "failed" not in {check["state"] for check in result.json}


@pytest.mark.parametrize(
    ("bot", "app", "wrong"),
    [
        ("", "", {"bot_token": "is not set", "app_token": "is not set"}),
        ("xapp-s3cret", "xoxb-s3cret", {"bot_token": "begins with xoxb-", "app_token": "begins with xapp-"}),
        ("xoxb-s3\u00e9cret", "xapp-1", {"bot_token": "begins with xoxb-"}),
        ("xoxb-1", "", {"app_token": "is not set"}),
    ],
)
def test_each_missing_or_malformed_token_has_a_remedy(
    apprentice: CommandLine, bot: str, app: str, wrong: dict[str, str]
) -> None:
    apprentice.set(SLACK__MODE="socket", SLACK__BOT_TOKEN=bot, SLACK__APP_TOKEN=app)
    result = apprentice("doctor", "--json")
    assert result.status == 1
    assert len(of(result, "slack")) == len(wrong)
    for check, (token, says) in zip(of(result, "slack"), wrong.items(), strict=True):
        assert check["state"] == "failed"
        assert f"slack.{token}" in check["detail"]
        assert says in check["detail"]
        assert "api.slack.com" in check["remedy"]
        assert f"APPRENTICE_SLACK__{token.upper()}" in check["remedy"]
    assert "cret" not in result.out


@pytest.mark.parametrize(
    ("bot", "app", "states"),
    [
        (BOT, APP, ["ok", "ok"]),
        ("xoxb-of-nobody", APP, ["failed", "ok"]),
        (BOT, "xapp-of-nobody", ["ok", "failed"]),
    ],
)
async def test_slack_is_asked_about_both_tokens(
    town: Town, apprentice: CommandLine, bot: str, app: str, states: list[str]
) -> None:
    url = f"{town.url}/workspace/api/"
    apprentice.set(SLACK__MODE="socket", SLACK__BOT_TOKEN=bot, SLACK__APP_TOKEN=app, SLACK__API_URL=url)
    checks = of(await asyncio.to_thread(apprentice, "doctor", "--json"), "slack")
    assert [check["state"] for check in checks] == states, checks
    assert all(("invalid_auth" in check["detail"]) == (check["state"] == "failed") for check in checks)


async def test_in_http_mode_the_signing_secret_is_checked_and_no_app_token_is_asked_for(
    town: Town, apprentice: CommandLine
) -> None:
    apprentice.set(SLACK__MODE="http", SLACK__BOT_TOKEN=BOT, SLACK__API_URL=f"{town.url}/workspace/api/")
    (missing,) = of(await asyncio.to_thread(apprentice, "doctor", "--json"), "slack")
    apprentice.set(SLACK__SIGNING_SECRET="8f742231b10e8888")
    signed_in, address = of(await asyncio.to_thread(apprentice, "doctor", "--json"), "slack")
    apprentice.set(WEB__HOST="0.0.0.0")
    _, reachable = of(await asyncio.to_thread(apprentice, "doctor", "--json"), "slack")

    assert (missing["state"], missing["detail"]) == ("failed", "slack.signing_secret is not set")
    assert "Signing Secret" in missing["remedy"]
    assert (signed_in["state"], address["state"], reachable["state"]) == ("ok", "warning", "ok")
    assert "apprentice manifest --http" in address["remedy"]
    assert "8f742231b10e8888" not in str([signed_in, address, reachable])


def test_with_a_client_id_the_settings_for_installing_are_checked(apprentice: CommandLine) -> None:
    apprentice.set(SLACK__MODE="http", SLACK__CLIENT_ID="17.42", SLACK__SIGNING_SECRET="8f742231b10e8888")
    (missing,) = of(apprentice("doctor", "--json"), "slack")
    apprentice.set(SLACK__CLIENT_SECRET="s3cret", SLACK__TOKEN_KEY="hunter2")
    key, _ = of(apprentice("doctor", "--json"), "slack")
    apprentice.set(SLACK__TOKEN_KEY="")
    told = apprentice("doctor", "--json")

    assert missing["detail"] == "slack.client_secret is not set"
    assert "Client Secret" in missing["remedy"]
    assert (key["state"], key["remedy"]) == ("failed", "Correct slack.token_key, or leave it out.")
    assert [check["state"] for check in of(told, "slack")] == ["ok", "warning"]
    assert "s3cret" not in told.out + str(key)
    assert "hunter2" not in str(key)


def test_slack_that_cannot_be_reached_is_told_apart_from_a_refusal(apprentice: CommandLine) -> None:
    url = "http://127.0.0.1:1/api/"
    apprentice.set(SLACK__MODE="socket", SLACK__BOT_TOKEN=BOT, SLACK__APP_TOKEN=APP, SLACK__API_URL=url)
    result = apprentice("doctor", "--json")
    assert result.status == 1
    assert all("cannot be reached" in check["detail"] for check in of(result, "slack"))


def test_each_server_that_is_to_answer_is_asked_what_it_is_good_for(apprentice: CommandLine) -> None:
    assert of(apprentice("doctor", "--json"), "inference")[0]["detail"] == "the embedded engine answers"
    whole, plain = Double(api_key="s3cret").start(), Double(takes_adapters=False).start()
    urls = ",".join([whole.url, f"{plain.url}/v1", "http://127.0.0.1:1"])
    apprentice.set(INFERENCE__ENGINE="vllm", INFERENCE__URLS=urls, INFERENCE__API_KEY="s3cret")

    result = apprentice("doctor", "--json")
    apprentice.set(INFERENCE__API_KEY="wrong")
    refused = of(apprentice("doctor", "--json"), "inference")[0]
    for double in (whole, plain):
        double.stop()

    good, without, away = of(result, "inference")
    assert (good["state"], good["detail"]) == ("ok", f"{whole.url} answers as {BASE}, and takes adapters")
    assert (without["state"], "without adapters" in without["detail"]) == ("warning", True)
    assert "--enable-lora" in without["remedy"]
    assert (away["state"], away["remedy"]) == ("failed", "Start it, or correct inference.urls.")
    assert (refused["state"], "Correct inference.api_key" in refused["detail"]) == ("failed", True)
    assert "s3cret" not in result.out


def test_servers_that_nobody_named_are_missed(apprentice: CommandLine) -> None:
    apprentice.set(INFERENCE__ENGINE="vllm")
    (check,) = of(apprentice("doctor", "--json"), "inference")
    assert (check["state"], "inference.urls names no server" in check["detail"]) == ("failed", True)


@pytest.mark.parametrize(("minutes", "state"), [(1, "ok"), (90, "warning")])
def test_messages_that_wait_long_for_slack_are_found(
    apprentice: CommandLine, sqlite_database: Database, minutes: int, state: str
) -> None:
    (none,) = of(apprentice("doctor", "--json"), "outbox")
    assert none["detail"] == "no message waits for Slack"
    since = utc_now() - timedelta(minutes=minutes)
    with sqlite_database.transaction() as session:
        for number in range(2):
            call = OutboxCall(key=f"{number}", team="", lane="", method="chat.postMessage", created_at=since)
            outbox.owe(session, call)

    (check,) = of(apprentice("doctor", "--json"), "outbox")
    assert check["state"] == state
    assert check["detail"] == f"messages that wait for Slack: 2, the oldest for {minutes} minutes"


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("WEB__PORT", "x", "configuration"),
        ("DATABASE__URL", "postgresql://kim:s3cret@127.0.0.1:1/there", "database"),
        ("GOVERNANCE__POLICY", "nowhere.toml", "policy"),
        ("TRAINING__SCHEDULE", "at [/tea] time", "schedule"),
        ("MODEL__BASE", "builtin:nothing", "model"),
    ],
)
def test_whatever_is_wrong_is_found_with_a_remedy(
    apprentice: CommandLine, variable: str, value: str, name: str
) -> None:
    apprentice.set(**{variable: value})
    result = apprentice("doctor", "--json")
    assert result.status == 1
    (check,) = of(result, name)
    assert check["state"] == "failed"
    assert check["remedy"]
    assert "s3cret" not in result.out
    told = apprentice("doctor")
    assert told.status == 1
    assert check["remedy"] in told.out


def test_a_policy_file_that_is_not_in_force_is_found(
    apprentice: CommandLine, sqlite_database: Database, tmp_path: Path
) -> None:
    Installation(sqlite_database, tmp_path).governance.policies.put_first_in_force("operator:kim")
    (check,) = of(apprentice("doctor", "--json"), "policy")
    assert check["state"] == "ok"
    apprentice.set(GOVERNANCE__POLICY="builtin:finance")
    (check,) = of(apprentice("doctor", "--json"), "policy")
    assert check["state"] == "warning"
    assert "`apprentice policy propose builtin:finance`" in check["detail"]

    with sqlite_database.transaction() as session:
        (version,) = list_versions(session)
        version.content = version.content.replace('"quorum":1', '"quorum":0')
        session.add(version)
    (check,) = of(apprentice("doctor", "--json"), "policy")
    assert (check["state"], "is not what was approved" in check["detail"]) == ("failed", True)


def test_a_user_group_that_names_nobody_is_found(
    apprentice: CommandLine, sqlite_database: Database, tmp_path: Path
) -> None:
    assert of(apprentice("doctor", "--json"), "user groups") == []
    house = Installation(sqlite_database, tmp_path, Clock(utc_now()))
    house.use_policy(approval={"approvers": ["SLEADS"]})
    house.governance.policies.put_first_in_force("operator:kim")
    (check,) = of(apprentice("doctor", "--json"), "user groups")
    assert (check["state"], "SLEADS was never read" in check["detail"]) == ("warning", True)

    house.read_groups(SLEADS=[APPROVER])
    (check,) = of(apprentice("doctor", "--json"), "user groups")
    assert check["state"] == "ok"
