"""What goes wrong on purpose, as the real Slack clients meet it."""

import asyncio
from typing import Any

import aiohttp
import httpx
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)

from bot.workspace.limits import RateLimits
from bot.workspace.people import ActionRefusedError
from tests.bot.workspace.conftest import Town
from tests.bot.workspace.test_contract import BUTTON, PATIENCE


async def set_faults(town: Town, **faults: Any) -> dict[str, Any]:
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{town.url}/workspace/client/faults", json=faults)
    return dict(answer.json())


def said(town: Town) -> list[str]:
    return [message.text for message in town.workspace.messages("C1")]


async def test_a_call_that_fails_is_not_done_and_the_sdk_can_try_it_again(town: Town) -> None:
    await set_faults(town, fail_next=2)
    with pytest.raises(SlackApiError) as caught:
        await town.client(retry_handlers=[]).chat_postMessage(channel="C1", text="first")
    assert caught.value.response.status_code == 500
    assert said(town) == []

    stubborn = town.client(retry_handlers=[AsyncServerErrorRetryHandler(max_retry_count=1)])
    await stubborn.chat_postMessage(channel="C1", text="second")
    assert said(town) == ["second"]


async def test_a_call_whose_answer_is_cut_off_was_done_and_is_done_again_by_an_sdk_that_retries(town: Town) -> None:
    await set_faults(town, drop_next=2)
    with pytest.raises(aiohttp.ClientError):
        await town.client(retry_handlers=[]).chat_postMessage(channel="C1", text="first")
    assert said(town) == ["first"]

    stubborn = town.client(retry_handlers=[AsyncConnectionErrorRetryHandler(max_retry_count=1)])
    await stubborn.chat_postMessage(channel="C1", text="second")
    assert said(town) == ["first", "second", "second"]


async def test_slacks_own_limits_allow_a_post_a_second_in_each_channel(town: Town) -> None:
    await set_faults(town, rate_limits=True)
    client = town.client(retry_handlers=[])
    await client.chat_postMessage(channel="C1", text="first")
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel="C1", text="too soon")
    assert caught.value.response["error"] == "ratelimited"
    assert caught.value.response.headers["Retry-After"] == "1"
    await client.chat_postMessage(channel="UADA", text="elsewhere")

    town.clock.advance(1)
    await client.chat_postMessage(channel="C1", text="second")
    assert said(town) == ["first", "second"]


@pytest.mark.parametrize(
    ("method", "at_once", "wait_s"),
    [
        ("chat.postMessage", 1, 1),
        ("chat.startStream", 20, 3),
        ("chat.update", 50, 2),
        ("chat.appendStream", 100, 1),
        ("apps.connections.open", 1, 60),
    ],
)
def test_each_method_has_its_limit_a_minute(method: str, at_once: int, wait_s: int) -> None:
    now = [0.0]
    limits = RateLimits(lambda: now[0])
    assert [limits.wait_s(method, {"channel": "C1"}) for _ in range(at_once)] == [0] * at_once
    assert limits.wait_s(method, {"channel": "C1"}) == wait_s
    now[0] += wait_s
    assert limits.wait_s(method, {"channel": "C1"}) == 0
    assert limits.wait_s("chat.delete", {"channel": "C1"}) == 0


async def test_an_event_whose_acknowledgement_gets_lost_comes_again_as_a_retry(town: Town) -> None:
    app, seen = AsyncApp(client=town.client()), asyncio.Queue[tuple[str, Any, Any]]()

    @app.event("message")
    async def written(event: dict[str, Any], request: Any) -> None:
        headers = [request.headers.get(name) for name in ("x-slack-retry-num", "x-slack-retry-reason")]
        await seen.put((event["ts"], *headers))

    await set_faults(town, refuse_ack_next=1)
    async with town.running(app):
        ts = await town.people.send("UADA", "C1", "hello")
        assert await asyncio.wait_for(seen.get(), PATIENCE) == (ts, ["0"], [""])
        assert await asyncio.wait_for(seen.get(), PATIENCE) == (ts, ["1"], ["timeout"])


async def test_a_click_whose_acknowledgement_gets_lost_is_told_to_the_person(town: Town) -> None:
    app = AsyncApp(client=town.client())

    @app.action("open")
    async def opened(ack: Any) -> None:
        await ack()

    @app.event("message")
    async def posted_itself() -> None:
        pass

    blocks = [{"type": "actions", "elements": [BUTTON]}]
    posted = await town.client().chat_postMessage(channel="C1", text="press", blocks=blocks)
    async with town.running(app), asyncio.timeout(PATIENCE):
        while town.workspace.unacknowledged():  # of the message
            await asyncio.sleep(0.02)
        await set_faults(town, refuse_ack_next=1)
        with pytest.raises(ActionRefusedError, match="did not answer"):
            await town.people.click("UADA", "C1", posted["ts"], "open")
        await town.people.click("UADA", "C1", posted["ts"], "open")


async def test_an_unknown_fault_and_a_count_below_zero_are_refused(town: Town) -> None:
    assert not (await set_faults(town, fail_nxt=1))["ok"]
    assert not (await set_faults(town, fail_next=-1))["ok"]
    assert (await set_faults(town, fail_next=3, delay_ms=5))["faults"] == {
        **vars(type(town.workspace.faults)()), "fail_next": 3, "delay_ms": 5,
    }  # fmt: skip


async def test_a_workspace_closes_also_when_a_connection_breaks_at_that_moment(town: Town) -> None:
    app, came = AsyncApp(client=town.client()), asyncio.Event()

    @app.middleware
    async def never_acknowledge(next_: Any) -> None:
        came.set()
        await asyncio.Event().wait()

    async with town.running(app):
        await town.people.send("UADA", "C1", "hi")
        await asyncio.wait_for(came.wait(), PATIENCE)
        dropping = asyncio.create_task(town.sockets.drop())
        await asyncio.sleep(0)  # the connection is forgotten, and nobody who waits for it has been told yet
        async with asyncio.timeout(PATIENCE):
            await town.sockets.close()
        await dropping
    assert [each["payload"]["event"]["text"] for each in town.workspace.unacknowledged()] == ["hi"]
