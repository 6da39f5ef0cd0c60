"""The pages on which a workspace installs the app, and to which Slack then sends the browser back."""

from urllib.parse import urljoin

from fastapi import APIRouter, Request
from fastapi.responses import Response
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.installations import STATE_SECONDS, Installations, InstalledAuthorize, InstalledClients, States
from bot.slack.manifest import INSTALL_PATH, REDIRECT_PATH, read_manifest
from bot.slack.parts import SlackParts
from bot.slack.socket import make_client
from bot.slack.token_cipher import open_cipher
from storage.settings import SlackSettings


class InstallPages:
    """Bolt's OAuth flow over our own stores, and the clients that follow from what was installed."""

    def __init__(self, parts: SlackParts, settings: SlackSettings) -> None:
        cipher = open_cipher(settings.token_key.get_secret_value(), parts.settings.data_folder / "keys")
        allowed = {team.strip() for team in settings.allowed_teams.split(",") if team.strip()}
        installations = Installations(parts.database, parts.governance, cipher, allowed, parts.clock)
        installations.renew_tokens()
        self.authorize = InstalledAuthorize(installations)
        self.clients = InstalledClients(_nobody(settings), settings.home_team, installations, lambda: _nobody(settings))
        self._flow = _make_flow(settings, installations, States(cipher))

    def router(self) -> APIRouter:
        """Return the routes of both pages."""
        router = APIRouter()
        router.add_api_route(INSTALL_PATH, self.install, methods=["GET"])
        router.add_api_route(REDIRECT_PATH, self.come_back, methods=["GET"])
        return router

    async def install(self, request: Request) -> Response:
        """Show the button that leads to Slack's page."""
        return to_starlette_response(await self._flow.handle_installation(to_async_bolt_request(request, b"")))

    async def come_back(self, request: Request) -> Response:
        """Keep the installation to which somebody agreed on Slack's page, and say so."""
        answer = await self._flow.handle_callback(to_async_bolt_request(request, b""))
        await self.clients.find_home()
        return to_starlette_response(answer)


def _nobody(settings: SlackSettings) -> AsyncWebClient:
    """Make a client that has no token yet."""
    client = make_client(settings)
    client.token = None
    return client


def _make_flow(settings: SlackSettings, installations: Installations, states: States) -> AsyncOAuthFlow:
    return AsyncOAuthFlow(
        client=_nobody(settings),
        logger=installations.logger,
        settings=AsyncOAuthSettings(
            client_id=settings.client_id,
            client_secret=settings.client_secret.get_secret_value(),
            scopes=sorted(read_manifest().scopes),
            user_scopes=[],
            install_path=INSTALL_PATH,
            redirect_uri_path=REDIRECT_PATH,
            authorization_url=urljoin(settings.api_url, "../oauth/v2/authorize"),
            installation_store=installations,
            installation_store_bot_only=True,
            state_store=states,
            state_expiration_seconds=STATE_SECONDS,
        ),
    )
