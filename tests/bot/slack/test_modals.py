"""A modal is open before its content is known, because Slack's trigger lives three seconds."""

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks, names
from bot.slack.clients import Clients
from bot.slack.modals import View, open_modal
from bot.workspace.app import create_app
from bot.workspace.model import Json
from bot.workspace.seed import AppDefinition, make_workspace
from bot.workspace.serving import serve
from bot.workspace.state import Workspace
from storage.errors import NotFoundError
from tests.bot.slack.conftest import ADA, BOT_TOKEN, MEMBERS, eventually

CONTENT = blocks.notice_modal("Found", "Here it is.")


@dataclass
class Slow:
    """Content that is there only when the test says so."""

    ready: threading.Event

    def make(self) -> View:
        self.ready.wait()
        return CONTENT


@dataclass
class Place:
    workspace: Workspace
    clients: Clients

    def click(self) -> Json:
        """Return what a click brings, as far as a modal needs it."""
        return {"team": {"id": self.workspace.team_id}, "trigger_id": self.workspace.new_trigger(ADA)}

    async def open_view(self) -> Json:
        async def opened() -> Json | None:
            return next(iter(self.workspace.open_views(ADA)), None)

        return await eventually(opened)


@pytest.fixture
async def place(app_definition: AppDefinition) -> AsyncIterator[Place]:
    workspace = make_workspace(team_name="Northwind Kites", members=MEMBERS, channels=(), app=app_definition)
    async with serve(create_app(workspace)) as url:
        yield Place(workspace, Clients(AsyncWebClient(BOT_TOKEN, base_url=f"{url}/api/")))


@pytest.fixture
def slow() -> Slow:
    return Slow(threading.Event())


async def test_a_loading_view_stands_until_the_content_is_there(place: Place, slow: Slow) -> None:
    opening = asyncio.create_task(open_modal(place.clients, place.click(), slow.make))
    loading = await place.open_view()
    slow.ready.set()
    await opening

    assert loading["callback_id"] == names.LOADING_VIEW
    assert "Here it is." in str((await place.open_view())["blocks"])


async def test_a_modal_that_was_closed_meanwhile_stays_closed(place: Place, slow: Slow) -> None:
    opening = asyncio.create_task(open_modal(place.clients, place.click(), slow.make))
    place.workspace.close_view((await place.open_view())["id"])
    slow.ready.set()
    await opening

    assert place.workspace.open_views(ADA) == []


@pytest.mark.parametrize(
    ("error", "said"),
    [(NotFoundError("there is no <such> thing."), "there is no &lt;such&gt; thing."), (OSError("disk 7"), "Sorry")],
)
async def test_what_goes_wrong_is_said_in_the_modal(place: Place, error: Exception, said: str) -> None:
    def fail() -> View:
        raise error

    await open_modal(place.clients, place.click(), fail)

    shown = str((await place.open_view())["blocks"])
    assert said in shown
    assert "disk 7" not in shown
