"""HTTP mode: what Slack signed is taken, all else refused; nothing is acknowledged that is not stored."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import Request
from slack_bolt.async_app import AsyncApp
from slack_sdk.signature import SignatureVerifier
from sqlalchemy import text

from bot.slack import names
from bot.slack.http import BODY_LIMIT, Requests
from storage.feedback import Feedback, list_feedback
from tests.bot.slack.conftest import (
    ADA,
    PRIYA,
    SIGNING_SECRET,
    Bot,
    Town,
    Web,
    all_done,
    eventually,
    find_element,
    jobs_in,
)

HOUR = 3600


@pytest.fixture
def transport() -> str:
    return "http"


def signed(body: str | bytes, timestamp: str = "", secret: str = SIGNING_SECRET) -> dict[str, str]:
    timestamp = timestamp or str(int(time.time()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=timestamp, body=body)
    return {
        "Content-Type": "application/json",
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": str(signature),
    }


def mention(**changes: Any) -> str:
    event = {"type": "app_mention", "channel": "CASK", "user": ADA, "text": "<@UAPPBOT> kite", "ts": "1.1"}
    return json.dumps({"type": "event_callback", "team_id": "TLOCAL", "event_id": "Ev1", "event": event, **changes})


async def post(web: Web, body: str | bytes, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient() as slack:
        return await slack.post(f"{web.url}/slack/events", content=body, headers=headers)


async def test_the_whole_way_of_a_correction_over_requests(bot: Bot, town: Town) -> None:
    answer = await town.answer(await town.mention(ADA, "kite wind"))
    _, votes = find_element(answer, names.VOTE_ACTION)
    await town.press(ADA, answer, names.VOTE_ACTION, votes["negative_button"]["value"])
    async with town.watch(PRIYA):
        await town.press(PRIYA, answer, names.CORRECT_ACTION)
        view = await town.view(PRIYA)
        refused = await town.submit(PRIYA, view, names.CORRECTION_BLOCK, "   ")
        taken = await town.submit(PRIYA, view, names.CORRECTION_BLOCK, "At 12 knots.")

    await all_done(bot, 3)
    assert (refused["ok"], taken["ok"]) == (False, True)
    assert names.CORRECTION_BLOCK in refused["errors"]
    assert [(row.kind, row.text) for row in feedback(bot)] == [("down", ""), ("correction", "At 12 knots.")]


def feedback(bot: Bot) -> list[Feedback]:
    with bot.parts.database.read() as session:
        return list_feedback(session)


FORGERIES: dict[str, Callable[[], dict[str, str]]] = {
    "unsigned": dict,
    "with another secret": lambda: signed(mention(), secret="another secret"),
    "of another body": lambda: signed(mention(event_id="Ev2")),
    "an hour old": lambda: signed(mention(), timestamp=str(int(time.time()) - HOUR)),
    "from the future": lambda: signed(mention(), timestamp=str(int(time.time()) + HOUR)),
    "without a time": lambda: signed(mention()) | {"X-Slack-Request-Timestamp": "soon"},
    "no text": lambda: signed(mention()) | {"X-Slack-Signature": "v0=\xe9"},
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_what_slack_did_not_sign_just_now_is_refused_and_not_stored(
    connected_bot: Bot, web: Web, forgery: str
) -> None:
    headers = {name: value.encode("latin-1") for name, value in FORGERIES[forgery]().items()}
    async with httpx.AsyncClient() as somebody:
        answer = await somebody.post(f"{web.url}/slack/events", content=mention(), headers=headers)

    assert answer.status_code == 401
    assert jobs_in(connected_bot) == []


async def test_a_body_that_is_no_text_is_refused(connected_bot: Bot, web: Web) -> None:
    assert (await post(web, b"\xff\xfe", signed("other"))).status_code == 401


async def test_a_body_that_is_too_long_is_refused_before_it_is_read_to_its_end() -> None:
    read = 0

    async def endless() -> dict[str, Any]:
        nonlocal read
        read += 64 * 1024
        return {"type": "http.request", "body": b"x" * 64 * 1024, "more_body": True}

    app = AsyncApp(token="xoxb-test", request_verification_enabled=False)
    scope = {"type": "http", "method": "POST", "path": "/slack/events", "headers": []}
    answer = await Requests(app, SIGNING_SECRET).receive(Request(scope, endless))

    assert answer.status_code == 413
    assert read <= BODY_LIMIT + 64 * 1024


async def test_the_challenge_is_given_back(connected_bot: Bot, web: Web) -> None:
    asked = json.dumps({"type": "url_verification", "token": "x", "challenge": "3eZbrw1aB"})
    answer = await post(web, asked, signed(asked))
    assert (answer.status_code, answer.json()) == (200, {"challenge": "3eZbrw1aB"})


async def test_an_event_that_the_database_does_not_take_is_answered_500_so_that_slack_delivers_it_again(
    connected_bot: Bot, web: Web
) -> None:
    with connected_bot.parts.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE inbox_event RENAME TO elsewhere"))
    refused = await post(web, mention(), signed(mention()))
    with connected_bot.parts.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO inbox_event"))
    retry = {"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_error"}
    again = [await post(web, mention(), signed(mention()) | retry) for _ in range(2)]

    assert refused.status_code == 500
    assert [answer.status_code for answer in again] == [200, 200]
    assert [job.kind for job in jobs_in(connected_bot)] == ["question"]


async def test_the_bot_says_when_slack_was_last_heard_from(connected_bot: Bot, web: Web, town: Town) -> None:
    assert connected_bot.link.health().text == "waiting for the first request to /slack/events"

    await town.mention(ADA, "kite")

    await eventually(lambda: asyncio.to_thread(jobs_in, connected_bot))
    assert connected_bot.link.health().text.startswith("last request ")
