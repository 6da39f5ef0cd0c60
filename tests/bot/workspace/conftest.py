"""The local workspace served on a free port, and the real Slack clients pointed at it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from fastapi import FastAPI
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.workspace.app import create_app
from bot.workspace.people import People
from bot.workspace.seed import AppDefinition, Channel, Member, make_workspace
from bot.workspace.serving import serve
from bot.workspace.socket_mode import SocketMode
from bot.workspace.state import Workspace
from storage.records import utc_now

BOT, APP = "xoxb-local-test", "xapp-local-test"
SCOPES = frozenset(
    {
        "chat:write", "channels:read", "channels:history", "im:history", "app_mentions:read", "users:read",
        "reactions:read", "reactions:write", "im:write", "assistant:write",
    }
)  # fmt: skip
EVENTS = frozenset(
    {
        "agent_session_stopped",
        "app_mention",
        "message.channels",
        "message.im",
        "reaction_added",
        "app_home_opened",
        "member_joined_channel",
    }
)


class Clock:
    """The workspace's clock, which stands still until a test puts it forward."""

    def __init__(self) -> None:
        self._now = utc_now()

    def __call__(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


@dataclass
class Town:
    """A served workspace."""

    workspace: Workspace
    people: People
    sockets: SocketMode
    url: str
    clock: Clock = field(default_factory=Clock)

    def client(self, token: str = BOT, **options: object) -> AsyncWebClient:
        return AsyncWebClient(token=token, base_url=f"{self.url}/workspace/api/", **options)

    @asynccontextmanager
    async def running(self, app: AsyncApp) -> AsyncIterator[None]:
        handler = AsyncSocketModeHandler(app, APP)
        await handler.connect_async()
        try:
            yield
        finally:
            await handler.close_async()


def definition(scopes: frozenset[str] = SCOPES) -> AppDefinition:
    return AppDefinition("Apprentice", BOT, APP, scopes, EVENTS, (("fix", "Correct this answer"),), ("/apprentice",))


def new_workspace(clock: Clock | None = None) -> Workspace:
    members = (Member("UADA", "ada", "Ada Lindgren"), Member("UBOB", "bob", "Bob Berg"))
    channels = (Channel("C1", "general", ("UADA", "UBOB")),)
    return make_workspace("Test", members, channels, definition(), clock or Clock())


@asynccontextmanager
async def open_town(workspace: Workspace, clock: Clock | None = None) -> AsyncIterator[Town]:
    web, local = FastAPI(), create_app(workspace)
    web.mount("/workspace", local)
    async with serve(web) as url:
        yield Town(workspace, local.state.people, local.state.sockets, url, clock or Clock())
        await local.state.sockets.close()


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    clock = Clock()
    async with open_town(new_workspace(clock), clock) as town:
        yield town
