"""Opens modals in time: Slack's trigger lives three seconds, so a loading view takes it, and the content follows."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.clients import Clients
from bot.slack.refusals import error_code
from storage.errors import ApprenticeError

log = logging.getLogger(__name__)

View = dict[str, Any]


async def open_modal(clients: Clients, body: Mapping[str, Any], make_view: Callable[[], View]) -> None:
    """Open a modal at once for whoever clicked, and put into it what `make_view` makes; that may read files."""
    client = await clients.of(body["team"]["id"])
    opened = await client.views_open(trigger_id=body["trigger_id"], view=blocks.loading_modal())
    await _fill(client, opened["view"]["id"], make_view)


async def fill_modal(clients: Clients, body: Mapping[str, Any], make_view: Callable[[], View]) -> None:
    """Put something else into the modal in which somebody clicked; one that was closed meanwhile stays closed."""
    await _fill(await clients.of(body["team"]["id"]), body["view"]["id"], make_view)


async def _fill(client: AsyncWebClient, view_id: str, make_view: Callable[[], View]) -> None:
    view = await asyncio.to_thread(_made, make_view)
    try:
        await client.views_update(view_id=view_id, view=view)
    except SlackApiError as error:
        if error_code(error) != "not_found":
            raise
        log.info("the modal %s was closed before its content was there", view_id)


def _made(make_view: Callable[[], View]) -> View:
    try:
        return make_view()
    except ApprenticeError as error:
        return blocks.notice_modal("That is not possible", blocks.escape(str(error)))
    except Exception:
        log.exception("the content of a modal cannot be made")
        return blocks.notice_modal("That did not work", "Sorry, that did not work. Close this and try again.")
