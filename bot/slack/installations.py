"""The workspaces that installed the app: kept for the OAuth flow, found by the listeners, and each with its client."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection
from logging import Logger

from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_bolt.error import BoltError
from slack_sdk.oauth.installation_store import Installation as SlackInstallation
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.exc import OperationalError

from bot.slack.clients import Clients, NotInstalledError
from bot.slack.token_cipher import TokenCipher
from governance.flows import Governance
from storage.database import Database
from storage.errors import ConfigurationError
from storage.installations import Installation, find_installation, list_installations, save_installation
from storage.people import person_id
from storage.records import Clock, utc_now

log = logging.getLogger(__name__)

STATE_SECONDS = 600


class Installations(AsyncInstallationStore):
    """What the app's OAuth flow saves, in our own table; every token is encrypted on its way there."""

    def __init__(
        self,
        database: Database,
        governance: Governance,
        cipher: TokenCipher,
        allowed: Collection[str] = (),
        clock: Clock = utc_now,
    ) -> None:
        self._allowed = allowed
        self._database = database
        self._governance = governance
        self._cipher = cipher
        self._clock = clock

    @property
    def logger(self) -> Logger:
        """Where the SDK's flow writes."""
        return log

    async def async_save(self, installation: SlackInstallation) -> None:
        """Keep an installation.

        Raises:
            BoltError: it is of a whole organisation, or of a workspace that may not install the app, or the database
                refuses; Bolt's page says that it failed.

        """
        if not installation.team_id or not installation.bot_token:
            raise BoltError("only a workspace can install this app, not a whole organisation")
        if self._allowed and installation.team_id not in self._allowed:
            log.warning("workspace %s is not among slack.allowed_teams and did not get the app", installation.team_id)
            raise BoltError("this workspace may not install the app")
        kept = Installation(
            workspace_id=installation.team_id,
            workspace_name=installation.team_name or installation.team_id,
            bot_id=installation.bot_id or "",
            bot_user_id=installation.bot_user_id or "",
            scopes=",".join(installation.bot_scopes or []),
            token=self._cipher.encrypt(installation.bot_token),
            installed_by=person_id(installation.team_id, installation.user_id),
            installed_at=self._clock(),
        )
        try:
            await asyncio.to_thread(self._governance.install_workspace, kept)
        except OperationalError as error:
            log.exception("the installation in %s could not be kept", installation.team_id)
            raise BoltError("the database does not answer") from error

    def find(self, workspace_id: str) -> Installation | None:
        """Return the installation in a workspace; without an id the oldest of all."""
        with self._database.read() as session:
            if workspace_id:
                return find_installation(session, workspace_id)
            return next(iter(list_installations(session)), None)

    def teams(self) -> list[str]:
        """Return the ids of the workspaces that installed the app, the oldest installation first."""
        with self._database.read() as session:
            return [each.workspace_id for each in list_installations(session)]

    def token(self, installation: Installation) -> str:
        """Return the token of its bot; raise ConfigurationError when the key is not the one with which it was kept."""
        return self._cipher.decrypt(installation.token)

    def renew_tokens(self) -> None:
        """Encrypt all tokens with the newest key, so that older ones can be taken out of the settings."""
        with self._database.transaction() as session:
            for installation in list_installations(session):
                installation.token = self._cipher.renew(installation.token)
                save_installation(session, installation)


class InstalledAuthorize(AsyncAuthorize):
    """Tells Bolt as whom the app acts in a workspace; unlike Bolt's own, it does not ask Slack before each answer."""

    def __init__(self, installations: Installations) -> None:
        self._installations = installations

    async def __call__(self, *, team_id: str | None, **_: object) -> AuthorizeResult | None:
        """Return what is known of the app in this workspace; None where it is not installed."""
        found = await asyncio.to_thread(self._installations.find, team_id) if team_id else None
        if found is None:
            return None
        return AuthorizeResult(
            enterprise_id=None,
            team_id=found.workspace_id,
            bot_user_id=found.bot_user_id,
            bot_id=found.bot_id,
            bot_token=self._installations.token(found),
            bot_scopes=found.scopes,
        )


class HomeAuthorize(AsyncAuthorize):
    """Tells Bolt that the app acts with the one token of the settings.

    Bolt's own would ask Slack who that is when the first click comes, and acknowledge the click if Slack fails at that
    (`AsyncSingleTeamAuthorization.async_process`), so that it would be lost.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token

    async def __call__(self, *, team_id: str | None, **_: object) -> AuthorizeResult:
        """Return the token; as whom it acts nothing here needs to know."""
        return AuthorizeResult(enterprise_id=None, team_id=team_id, bot_token=self._token)


class States(AsyncOAuthStateStore):
    """What a browser brings back from Slack's page: sealed with the key and good for ten minutes, so it needs no table.

    That it can be shown twice does no harm: the browser must have it as a cookie, and Slack's code works once.
    """

    def __init__(self, cipher: TokenCipher) -> None:
        self._cipher = cipher

    @property
    def logger(self) -> Logger:
        """Where the SDK's flow writes."""
        return log

    async def async_issue(self, *_: object, **__: object) -> str:
        """Make a state."""
        return self._cipher.encrypt(secrets.token_hex(16))

    async def async_consume(self, state: str) -> bool:
        """Whether it is one that was made here within the last ten minutes."""
        try:
            self._cipher.decrypt(state, STATE_SECONDS)
        except ConfigurationError:
            return False
        return True


class InstalledClients(Clients):
    """A client for each workspace; `home` is that of the approvers, and has no token until they install the app."""

    def __init__(
        self, home: AsyncWebClient, home_team: str, installations: Installations, make: Callable[[], AsyncWebClient]
    ) -> None:
        super().__init__(home)
        self._home_team = home_team
        self._installations = installations
        self._make = make
        self._others: dict[str, AsyncWebClient] = {}

    async def find_home(self) -> str:
        """Give `home` the token of its workspace, the first that installed the app unless one is named; return its id.

        It stays that workspace from then on, whoever else installs the app.
        """
        found = await asyncio.to_thread(self._installations.find, self._home_team)
        self._home_team = self._home_team or (found.workspace_id if found else "")
        self.home.token = self._installations.token(found) if found else None
        return self._home_team

    async def of(self, team: str) -> AsyncWebClient:
        """Return the client of a workspace, with the token that is in force."""
        home_team = await self.find_home()
        if team in {"", home_team} and self.home.token:
            return self.home
        found = await asyncio.to_thread(self._installations.find, team) if team else None
        if found is None:
            raise NotInstalledError(f"the app is not installed in workspace {team or home_team or 'of the approvers'}.")
        client = self._others.setdefault(team, self._make())
        client.token = self._installations.token(found)
        return client

    async def teams(self) -> list[str]:
        """Return the ids of all workspaces that installed the app."""
        return await asyncio.to_thread(self._installations.teams)
