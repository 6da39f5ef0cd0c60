"""A database for one measurement: empty and whole while it is used, gone afterwards."""

from pathlib import Path

import pytest
from sqlalchemy import URL, inspect

from storage import inbox
from storage.database import Database
from storage.errors import ConfigurationError
from storage.inbox import Arrival, list_events
from storage.records import utc_now
from storage.scratch import scratch_database
from tests.databases import copied


def keys(database: Database) -> list[str]:
    with database.read() as session:
        return [event.key for event in list_events(session)]


def keep(database: Database, key: str) -> None:
    with database.transaction() as session:
        inbox.receive(session, [Arrival(key, "message", "", {}, utc_now())])


def test_without_a_url_it_is_a_file_in_the_folder(tmp_path: Path) -> None:
    with scratch_database("", tmp_path) as url:
        database = Database(url)
        database.check_schema()
        assert keys(database) == []
        database.close()
    assert url.startswith(f"sqlite:///{tmp_path}")


def test_in_a_postgresql_database_it_touches_nothing_and_leaves_nothing(
    postgres: tuple[URL, str], tmp_path: Path
) -> None:
    server, template = postgres
    with copied(server, template) as given:
        keep(given, "of the product")
        schemas = inspect(given.engine).get_schema_names()
        with scratch_database(given.url.render_as_string(hide_password=False), tmp_path) as url:
            own = Database(url)
            keep(own, "of the measurement")
            assert keys(own) == ["of the measurement"]
            own.close()
        assert keys(given) == ["of the product"]
        assert inspect(given.engine).get_schema_names() == schemas


def test_a_sqlite_database_is_not_taken(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigurationError, match="Name a PostgreSQL database"),
        scratch_database(f"sqlite:///{tmp_path / 'own.db'}", tmp_path),
    ):
        pass
