"""Workspaces that install the app by themselves, remove it, and install it again."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from sqlalchemy import text

from bot.slack.clients import Clients, NotInstalledError
from bot.slack.http import receiving
from bot.slack.oauth import InstallPages
from bot.slack.parts import SlackParts
from bot.slack.token_cipher import KEY_FILE, open_cipher
from bot.slack.user_groups import GroupReading
from bot.workspace.seed import AppDefinition
from bot.workspace.state import Workspace
from storage.audit import read_audit_records
from storage.errors import ConfigurationError
from storage.installations import list_installations
from storage.settings import SlackSettings
from storage.user_groups import list_user_groups
from tests.bot.slack.conftest import ADA, MARCUS, PRIYA, Bot, Town, Web, all_done, eventually, jobs_in, use_policy

CLIENT_ID, CLIENT_SECRET = "17.42", "not-for-everybody"
COOKIE = "slack-app-oauth-state"


@pytest.fixture
def transport() -> str:
    return "http"


@pytest.fixture
def app_definition(app_definition: AppDefinition) -> AppDefinition:
    """An app that nobody has installed."""
    return replace(app_definition, bot_token="", client_id=CLIENT_ID, client_secret=CLIENT_SECRET)


@pytest.fixture
def slack_settings(slack_settings: SlackSettings) -> SlackSettings:
    given = {"bot_token": SecretStr(""), "client_id": CLIENT_ID, "client_secret": SecretStr(CLIENT_SECRET)}
    return slack_settings.model_copy(update=given)


@dataclass
class Office(Bot):
    """A bot that workspaces install by themselves."""

    pages: InstallPages | None = None

    @property
    def clients(self) -> Clients:
        assert self.pages is not None
        return self.pages.clients


@pytest.fixture
async def office(parts: SlackParts, slack_settings: SlackSettings, web: Web) -> AsyncIterator[Office]:
    pages = InstallPages(parts, slack_settings)
    async with receiving(web.app, parts, pages.clients, slack_settings, pages) as link:
        office = Office(parts, pages.clients.home, link, pages=pages)
        office.start_worker()
        yield office
        await office.stop_worker()


async def agree(town: Town, web: Web, user: str = MARCUS) -> tuple[str, dict[str, str]]:
    """Go from the install page to Slack's, and agree there; return where it leads, and the browser's cookie."""
    page = await town.http.get(f"{web.url}/slack/install")
    (slack,) = re.findall(r'href="(http[^"]+)"', page.text)
    slack = slack.replace("&amp;", "&")
    assert (await town.http.get(slack)).status_code == 200
    back = await town.http.post(slack, data={"user": user})
    state = parse_qs(urlsplit(slack).query)["state"][0]
    return back.headers["location"], {"Cookie": f"{COOKIE}={state}"}


async def install(town: Town, web: Web, user: str = MARCUS) -> httpx.Response:
    address, cookie = await agree(town, web, user)
    return await town.http.get(f"{web.url}/slack/oauth_redirect?{urlsplit(address).query}", headers=cookie)


def kept(office: Office) -> list[tuple[str, str]]:
    """Return workspace and person of each installation."""
    with office.parts.database.read() as session:
        return [(row.workspace_id, row.installed_by) for row in list_installations(session)]


def audited(office: Office) -> list[str]:
    with office.parts.database.read() as session:
        bodies = [record.body for record in read_audit_records(session, 0)]
    return [action for body in bodies for action in re.findall(r'"action":"(workspace\.[a-z]+)"', body)]


async def test_a_workspace_installs_the_app_and_is_answered(office: Office, town: Town, web: Web) -> None:
    done = await install(town, web)

    assert done.status_code == 200
    assert kept(office) == [("TLOCAL", f"TLOCAL/{MARCUS}")]
    assert audited(office) == ["workspace.installed"]
    assert (await town.answer(await town.mention(ADA, "kite")))["text"]


async def test_after_the_app_was_removed_what_waits_is_closed_and_after_a_new_installation_all_is_well(
    office: Office, town: Town, web: Web
) -> None:
    await install(town, web)
    await office.stop_worker()
    await town.mention(ADA, "kite")
    await eventually(lambda: asyncio.to_thread(jobs_in, office, "received"))
    await town.post("uninstall")
    await eventually(lambda: three(office))
    office.start_worker()

    closed, *_ = await all_done(office, 3)
    assert (closed.kind, closed.state) == ("question", "failed")
    assert kept(office) == []
    assert "workspace.uninstalled" in audited(office)

    await install(town, web)
    assert (await town.answer(await town.mention(PRIYA, "wind")))["text"]


async def three(office: Office) -> bool:
    return len(await asyncio.to_thread(jobs_in, office, "received")) == 3


async def test_a_removal_that_is_told_late_does_not_undo_a_new_installation(
    office: Office, town: Town, web: Web
) -> None:
    await install(town, web)

    office.parts.governance.uninstall_workspace("TLOCAL", office.parts.clock().replace(year=2001))

    assert kept(office) == [("TLOCAL", f"TLOCAL/{MARCUS}")]


async def test_a_workspace_that_has_not_installed_the_app_has_no_client(office: Office, town: Town, web: Web) -> None:
    await install(town, web)
    assert office.pages is not None
    assert await office.pages.clients.of("TLOCAL") is office.client
    assert await office.pages.clients.of("") is office.client
    with pytest.raises(NotInstalledError, match="TOTHER"):
        await office.pages.clients.of("TOTHER")


async def test_the_user_groups_of_each_workspace_are_read_until_it_removes_the_app(
    office: Office, town: Town, web: Web, workspace: Workspace
) -> None:
    group = workspace.add_user_group(ADA, "leads", "Team leads", [MARCUS])
    use_policy(office, approval={"approvers": [group.id]})
    reading = GroupReading(office.parts, office.clients)
    await reading.look()
    assert groups(office) == []

    await install(town, web)
    await GroupReading(office.parts, office.clients).look()
    assert groups(office) == [("TLOCAL", ["TLOCAL/UMARCUS"])]
    workspace.uninstall()
    await eventually(lambda: asyncio.to_thread(lambda: groups(office) == []))


def groups(office: Office) -> list[tuple[str, list[str]]]:
    with office.parts.database.read() as session:
        return [(each.workspace_id, each.members) for each in list_user_groups(session)]


async def test_a_question_of_a_workspace_without_the_app_is_closed_and_others_are_answered(
    office: Office, town: Town, web: Web
) -> None:
    await install(town, web)
    await office.stop_worker()
    asked = await town.mention(ADA, "kite")
    (job,) = await eventually(lambda: asyncio.to_thread(jobs_in, office, "received"))
    with office.parts.database.transaction() as session:
        job.payload = {**job.payload, "team": "TOTHER"}
        session.merge(job)
    office.start_worker()

    await town.answer(await town.mention(PRIYA, "wind"))
    closed, _ = await all_done(office, 2)
    assert (closed.state, closed.attempts) == ("failed", 1)
    assert "not installed in workspace TOTHER" in closed.error
    assert await town.answers(asked) == []


@pytest.mark.parametrize("wrong", ["cookie", "state", "code", "denied"])
async def test_an_installation_that_is_not_what_somebody_agreed_to_is_refused(
    office: Office, town: Town, web: Web, wrong: str
) -> None:
    address, cookie = await agree(town, web)
    query = parse_qs(urlsplit(address).query)
    changed = {
        "cookie": {},
        "state": {"state": ["made-up"]},
        "code": {"code": ["made-up"]},
        "denied": {"error": ["access_denied"]},
    }[wrong]
    headers = {"cookie": {}, "state": {"Cookie": f"{COOKIE}=made-up"}}.get(wrong, cookie)
    answer = await town.http.get(f"{web.url}/slack/oauth_redirect", params={**query, **changed}, headers=headers)

    assert "Something Went Wrong" in answer.text
    assert kept(office) == []


class TestOnlySomeMayInstallIt:
    @pytest.fixture
    def slack_settings(self, slack_settings: SlackSettings) -> SlackSettings:
        return slack_settings.model_copy(update={"allowed_teams": "TONE, TTWO"})

    async def test_another_workspace_does_not_get_the_app(self, office: Office, town: Town, web: Web) -> None:
        assert (await install(town, web)).status_code == 500
        assert kept(office) == []


async def test_a_code_works_once(office: Office, town: Town, web: Web) -> None:
    address, cookie = await agree(town, web)
    again = f"{web.url}/slack/oauth_redirect?{urlsplit(address).query}"
    first, second = [await town.http.get(again, headers=cookie) for _ in range(2)]
    assert (first.status_code, second.status_code) == (200, 401)


async def test_no_token_lies_readable_in_the_database_or_the_log(
    office: Office, town: Town, web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG", logger="bot"):
        await install(town, web)
    assert office.client.token
    with office.parts.database.engine.connect() as connection:
        rows = [str(row) for row in connection.execute(text("SELECT * FROM installation"))]
    assert len(rows) == 1
    assert office.client.token not in rows[0] + caplog.text
    assert CLIENT_SECRET not in caplog.text


async def test_a_new_key_is_put_before_the_old_one_which_can_then_go(
    office: Office, town: Town, web: Web, slack_settings: SlackSettings
) -> None:
    await install(town, web)
    folder = office.parts.settings.data_folder / "keys"
    old, new = (folder / KEY_FILE).read_text(), Fernet.generate_key().decode()

    def start(*keys: str) -> InstallPages:
        return InstallPages(office.parts, slack_settings.model_copy(update={"token_key": SecretStr(",".join(keys))}))

    start(new, old)
    alone = start(new)
    await alone.clients.find_home()
    assert alone.clients.home.token == office.client.token
    with pytest.raises(ConfigurationError, match="install the app again"):
        start(old)


class TestTheKeyFile:
    def test_it_is_made_once_for_its_owner_alone(self, tmp_path: Path) -> None:
        sealed = open_cipher("", tmp_path).encrypt("xoxb-1")
        assert (tmp_path / KEY_FILE).stat().st_mode & 0o077 == 0
        assert open_cipher("", tmp_path).decrypt(sealed) == "xoxb-1"

    def test_one_that_others_can_read_is_refused(self, tmp_path: Path) -> None:
        open_cipher("", tmp_path)
        (tmp_path / KEY_FILE).chmod(0o644)
        with pytest.raises(ConfigurationError, match="chmod 600"):
            open_cipher("", tmp_path)

    def test_a_setting_that_is_no_key_is_refused_without_repeating_it(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="openssl rand") as refusal:
            open_cipher("hunter2", tmp_path)
        assert "hunter2" not in str(refusal.value)
