"""The connection to Slack over Socket Mode: the client with its retries, and tokens checked before anything starts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.app import create_app
from bot.slack.parts import SlackParts
from bot.slack.refusals import error_code
from bot.slack.tokens import check_tokens, token_remedy
from storage.errors import ConfigurationError
from storage.settings import SlackSettings

CONNECT_SECONDS = 30


def make_client(settings: SlackSettings) -> AsyncWebClient:
    """Make the Web API client. By itself it repeats only what was certainly not done: refused, or never sent.

    Repeated blindly, a call of which no answer came would post twice, or let a streamed answer stutter; whoever makes
    such a call knows what to look at before it tries again.
    """
    return AsyncWebClient(
        token=settings.bot_token.get_secret_value(),
        base_url=settings.api_url,
        retry_handlers=[
            AsyncRateLimitErrorRetryHandler(max_retry_count=3),
            AsyncConnectionErrorRetryHandler(max_retry_count=2, error_types=[aiohttp.ClientConnectorError]),
        ],
    )


@asynccontextmanager
async def connected(parts: SlackParts, client: AsyncWebClient, settings: SlackSettings) -> AsyncIterator[None]:
    """Receive events over Socket Mode for as long as the block runs.

    `settings` are those in force, which in local mode are not those of the file.

    Raises:
        ConfigurationError: Slack refuses one of the tokens.

    """
    check_tokens(settings)
    app_token = settings.app_token.get_secret_value()
    await _ask("bot_token", client.auth_test())
    await _ask("app_token", client.apps_connections_open(app_token=app_token))
    handler = AsyncSocketModeHandler(create_app(parts, client), app_token)
    try:
        await _connect(handler)
        yield
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


async def _connect(handler: AsyncSocketModeHandler) -> None:
    """Open the socket; the client itself would go on trying for ever."""
    try:
        await asyncio.wait_for(handler.connect_async(), CONNECT_SECONDS)  # type: ignore[no-untyped-call]
    except TimeoutError as error:
        raise ConfigurationError(
            f"Slack gave no socket within {CONNECT_SECONDS} s. Check that websockets can leave this network."
        ) from error


async def _ask(name: str, call: Awaitable[AsyncSlackResponse]) -> None:
    """Make a call that tells whether Slack takes the token; the socket client itself would retry a refusal for ever."""
    try:
        await call
    except SlackApiError as error:
        raise ConfigurationError(f"Slack refuses slack.{name} ({error_code(error)}). {token_remedy(name)}") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ConfigurationError(
            f"Slack cannot be reached ({type(error).__name__}). Check the network, and slack.api_url."
        ) from error
