"""The local workspace in HTTP mode, as an app of any make meets it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from fastapi import FastAPI, Request, Response
from slack_sdk.signature import SignatureVerifier

from bot.workspace.people import ActionRefusedError
from bot.workspace.seed import Channel, Member, make_workspace
from bot.workspace.serving import serve
from tests.bot.workspace.conftest import Town, definition, open_town

SECRET = "a signing secret"
PATIENCE = 30


@dataclass
class App:
    """Answers with these statuses, one after the other, and gives challenges back if it is `sound`."""

    statuses: list[int]
    sound: bool = True
    got: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        assert SignatureVerifier(SECRET).is_valid_request(body, dict(request.headers))
        if b"url_verification" in body:
            return Response((await request.json())["challenge"] if self.sound else "hello")
        self.got.append(dict(request.headers))
        return Response(status_code=self.statuses[min(len(self.got), len(self.statuses)) - 1])


@asynccontextmanager
async def town_with(app: App) -> AsyncIterator[Town]:
    web = FastAPI()
    web.add_api_route("/", app.answer, methods=["POST"])
    members = (Member("UADA", "ada", "Ada Lindgren"),)
    async with serve(web) as url:
        asked = replace(definition(), request_url=f"{url}/", signing_secret=SECRET)
        workspace = make_workspace("Test", members, (Channel("C1", "general", ("UADA",)),), asked)
        async with open_town(workspace) as town:
            yield town


async def deliveries(app: App, count: int) -> list[tuple[str | None, str | None]]:
    async with asyncio.timeout(PATIENCE):
        while len(app.got) < count:
            await asyncio.sleep(0.02)
    return [(each.get("x-slack-retry-num"), each.get("x-slack-retry-reason")) for each in app.got]


async def test_a_delivery_that_is_answered_with_an_error_is_made_again_with_its_number_and_why() -> None:
    app = App([500, 503, 200])
    async with town_with(app) as town:
        await town.people.send("UADA", "C1", "hello")
        tries = await deliveries(app, 3)
    assert tries == [(None, None), ("1", "http_error"), ("2", "http_error")]


async def test_after_three_retries_a_delivery_is_given_up() -> None:
    app = App([500])
    async with town_with(app) as town:
        await town.people.send("UADA", "C1", "hello")
        await deliveries(app, 4)
        async with asyncio.timeout(PATIENCE):
            while town.workspace.unacknowledged():
                await asyncio.sleep(0.02)
    assert len(app.got) == 4


async def test_an_address_that_does_not_give_the_challenge_back_is_sent_nothing() -> None:
    app = App([200], sound=False)
    async with town_with(app) as town:
        with pytest.raises(ActionRefusedError, match="did not answer"):
            await town.people.command("UADA", "C1", "/apprentice", "help")
    assert app.got == []
