"""Socket Mode: the Web API client with its retries, tokens checked before anything starts, and watched connections."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.slack.app import create_app
from bot.slack.clients import Clients
from bot.slack.parts import SlackParts
from bot.slack.refusals import error_code
from bot.slack.tokens import check_tokens, token_remedy
from bot.slack.watchdog import Patience, Sockets
from storage.errors import ConfigurationError
from storage.settings import SlackSettings

PATIENCE = Patience()


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
async def connected(
    parts: SlackParts, client: AsyncWebClient, settings: SlackSettings, patience: Patience = PATIENCE
) -> AsyncIterator[Sockets]:
    """Receive events over Socket Mode for as long as the block runs, which has the connections.

    `settings` are those in force, which in local mode are not those of the file.

    Raises:
        ConfigurationError: Slack refuses one of the tokens, or gives no socket.

    """
    check_tokens(settings)
    app, app_token = create_app(parts, Clients(client)), settings.app_token.get_secret_value()
    await ask("bot_token", client.auth_test())
    await ask("app_token", client.apps_connections_open(app_token=app_token))

    def make() -> SocketModeClient:
        return AsyncSocketModeHandler(app, app_token, ping_interval=patience.ping_interval).client

    sockets = Sockets(make, settings.sockets, patience)
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(sockets.held())
        except TimeoutError as error:
            raise ConfigurationError(
                f"Slack gave no socket within {patience.connect:.0f} s. Check that websockets can leave this network."
            ) from error
        yield sockets


async def ask(name: str, call: Awaitable[AsyncSlackResponse]) -> None:
    """Make a call that tells whether Slack takes the token; the socket client itself would retry a refusal for ever."""
    try:
        await call
    except SlackApiError as error:
        raise ConfigurationError(f"Slack refuses slack.{name} ({error_code(error)}). {token_remedy(name)}") from error
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ConfigurationError(
            f"Slack cannot be reached ({type(error).__name__}). Check the network, and slack.api_url."
        ) from error
