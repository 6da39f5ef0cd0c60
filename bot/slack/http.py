"""HTTP mode: Slack sends requests to `/slack/events`; those that it signed are handed to the Bolt app.

The signature is checked here and not by Bolt, which would read a body of any size first, write one that is not signed
into the log, and answer 500 to a timestamp that is no number.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.async_app import AsyncApp
from slack_sdk.signature import SignatureVerifier

from bot.slack.app import create_app
from bot.slack.clients import Clients
from bot.slack.health import Health
from bot.slack.manifest import EVENTS_PATH
from bot.slack.oauth import InstallPages
from bot.slack.parts import SlackParts
from bot.slack.socket import ask
from bot.slack.tokens import check_tokens
from storage.settings import SlackSettings

BODY_LIMIT = 1024 * 1024
"""Bytes of a request; a view, the largest thing that Slack sends, has at most a quarter of that."""


class Requests:
    """The requests that Slack sends; `receive` answers one."""

    def __init__(self, app: AsyncApp, signing_secret: str, now: Callable[[], float] = time.time) -> None:
        self._app = app
        self._verifier = SignatureVerifier(signing_secret)
        self._now = now
        self._heard_at: float | None = None

    async def receive(self, request: Request) -> Response:
        """Answer a request: 413 when it is too long, 401 when Slack did not sign it within the last five minutes."""
        body = await _read(request)
        if body is None:
            return PlainTextResponse("The request is too long.", status_code=413)
        if not is_signed(self._verifier, body, request.headers):
            return PlainTextResponse("The request is not signed by Slack.", status_code=401)
        self._heard_at = self._now()
        return to_starlette_response(await self._app.async_dispatch(to_async_bolt_request(request, body)))

    def health(self) -> Health:
        """Say when the last request came; that none came is no fault, for nobody may have said anything."""
        if self._heard_at is None:
            return Health(good=True, text="waiting for the first request to /slack/events")
        return Health(good=True, text=f"last request {max(self._now() - self._heard_at, 0):.0f} s ago")


@asynccontextmanager
async def receiving(
    web: FastAPI,
    parts: SlackParts,
    clients: Clients,
    settings: SlackSettings,
    pages: InstallPages | None = None,
) -> AsyncIterator[Requests]:
    """Let `web` answer Slack's requests; they are answered for as long as `web` is served.

    With `pages`, on which workspaces install the app, `clients` are theirs.

    Raises:
        ConfigurationError: Slack refuses the bot token, or a setting is missing.

    """
    check_tokens(settings)
    if pages is None:
        await ask("bot_token", clients.home.auth_test())
    else:
        await pages.clients.find_home()
        web.include_router(pages.router())
    app = create_app(parts, clients, pages.authorize if pages else None)
    requests = Requests(app, settings.signing_secret.get_secret_value())
    web.add_api_route(EVENTS_PATH, requests.receive, methods=["POST"])
    yield requests


def is_signed(verifier: SignatureVerifier, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether Slack signed this body, not longer than five minutes ago."""
    try:
        return verifier.is_valid_request(body, headers)
    except (TypeError, ValueError):  # a timestamp that is no number, a body or signature that is no text
        return False


async def _read(request: Request) -> bytes | None:
    """Return the body; None as soon as it is known to be too long."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT:
            return None
    return bytes(body)
