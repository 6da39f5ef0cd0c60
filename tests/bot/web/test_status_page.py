"""The status page: what it says of the audit log, and what it leaves alone."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, text

from bot.assembly import open_parts
from bot.slack.health import Health
from bot.web.app import create_web_app
from learning.model_server import ModelServer, ServerSettings
from storage.database import Database
from storage.settings import DatabaseSettings, Settings
from tests.governance.installation import Installation
from tests.learning.server_double import BASE, Double


@pytest.fixture
def house(sqlite_database: Database, tmp_path: Path) -> Installation:
    return Installation(sqlite_database, tmp_path)


@pytest.fixture
def page(house: Installation, sqlite_database: Database, tmp_path: Path) -> TestClient:
    url = sqlite_database.url.render_as_string(hide_password=False)
    parts = open_parts(Settings(data_folder=tmp_path, database=DatabaseSettings(url=url)))
    return TestClient(create_web_app(parts))


def shown(page: TestClient) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.get("/").text).split())


def test_the_page_shows_what_was_verified_last_and_what_came_since(page: TestClient, house: Installation) -> None:
    house.live("a" * 64)
    count = len(house.log())
    assert f"{count} records, not checked yet" in shown(page)

    answer = page.post("/audit/verify", follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert f"verified, {count} records checked" in shown(page)
    assert "more since" not in shown(page)
    house.live("b" * 64)
    assert f"verified, {count} records checked" in shown(page)
    assert f"UTC; {len(house.log()) - count} more since" in shown(page)


def test_the_page_shows_how_slack_reaches_the_bot(page: TestClient) -> None:
    assert "Slack not connected yet" in shown(page)

    class Sockets:
        def health(self) -> Health:
            return Health(good=False, text="0 of 2 connections open")

    page.app.state.slack = Sockets()
    assert "Slack 0 of 2 connections open" in shown(page)


def test_the_page_shows_the_servers_that_answer_where_some_do(page: TestClient) -> None:
    assert "Server" not in shown(page)
    double = Double(takes_adapters=False).start()
    servers = [ModelServer(url, ServerSettings()) for url in (double.url, "http://127.0.0.1:1")]
    servers[0].look()
    double.stop()

    page.app.state.servers = servers

    assert f"Server {double.url} answers as {BASE}, without adapters" in shown(page)
    assert "Server http://127.0.0.1:1 was not asked yet" in shown(page)


def test_looking_at_the_page_reads_no_audit_record(page: TestClient, house: Installation) -> None:
    house.live("a" * 64)
    page.post("/audit/verify")
    statements: list[str] = []
    listener = lambda _c, _cursor, statement, *_: statements.append(statement)  # noqa: E731
    engine = page.app.state.audit._database.engine
    event.listen(engine, "before_cursor_execute", listener)
    shown(page)
    about = [statement for statement in statements if "audit_record" in statement]
    assert len(about) == 1
    assert "max(sequence)" in about[0]


def test_a_changed_record_is_shown_after_the_next_check(page: TestClient, house: Installation) -> None:
    house.live("a" * 64)
    with house.database.engine.begin() as connection:
        for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text("UPDATE audit_record SET body = replace(body, 'T1', 'T2') WHERE sequence = 0"))
    page.post("/audit/verify")
    assert "record 0 was edited" in shown(page)


async def test_the_log_is_verified_in_the_background_without_anybody_asking(
    page: TestClient, house: Installation
) -> None:
    house.live("a" * 64)
    watch = page.app.state.audit
    running = asyncio.create_task(watch.run())
    async with asyncio.timeout(30):
        while watch.latest is None:
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    assert watch.latest.verification.verified
