"""The schema that the migrations make, on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError

from storage.audit import AuditRecord
from storage.database import MIGRATIONS, Database
from storage.errors import DatabaseUnreachableError, SchemaOutdatedError
from storage.policies import get_version
from storage.records import utc_now
from storage.tables import metadata
from tests.databases import copied


def test_the_migrated_schema_is_the_one_that_the_models_describe(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(database: Database) -> None:
    database.upgrade()
    current, head = database.revisions()
    assert current == head
    database.check_schema()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database that was never migrated, of each kind."""
    if request.param == "sqlite":
        yield Database(f"sqlite:///{tmp_path / 'older.db'}")
        return
    server, _ = request.getfixturevalue("postgres")
    with copied(server, "template1") as fresh:
        yield fresh


def test_the_first_policy_of_an_older_release_is_known_to_hold_since_it_was_made(empty: Database) -> None:
    insert = (
        "INSERT INTO policy_version (id, digest, name, content, under_digest, state, proposed_by, reason, created_at, "
        "expires_at, channel, message_ts) VALUES (:id, 'd', 'n', '{}', :under, :state, 'system', '', "
        "'2026-01-01 00:00:00+00:00', '2026-01-08 00:00:00+00:00', '', '')"
    )
    with empty.engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, "0037")
        connection.execute(text(insert), {"id": "first", "under": "", "state": "in_force"})
        connection.execute(text(insert), {"id": "second", "under": "d", "state": "proposed"})
    empty.upgrade()

    with empty.read() as session:
        first, second = get_version(session, "first"), get_version(session, "second")
    assert (first.decided_at, first.is_first) == (first.created_at, True)
    assert (second.decided_at, second.is_first) == (None, False)


def test_an_empty_database_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(SchemaOutdatedError, match="apprentice db upgrade"):
        database.check_schema()


def test_an_unreachable_database_is_named_without_its_password() -> None:
    database = Database("postgresql://someone:s3cret@127.0.0.1:1/nothing")
    with pytest.raises(DatabaseUnreachableError) as error:
        database.check_connection()
    assert "127.0.0.1:1" in str(error.value)
    assert "s3cret" not in str(error.value)


CHANGES = [
    "UPDATE audit_record SET body = '{}'",
    "UPDATE audit_record SET created_at = created_at WHERE sequence = 1",
    "DELETE FROM audit_record",
    "DELETE FROM audit_record WHERE sequence = 1",
]


@pytest.fixture
def with_records(database: Database) -> Database:
    with database.transaction() as session:
        for place in range(3):
            session.add(AuditRecord(sequence=place, body=f"{place}", leaf_hash="", created_at=utc_now()))
    return database


def bodies(database: Database) -> list[str]:
    with database.engine.connect() as connection:
        return list(connection.execute(text("SELECT body FROM audit_record ORDER BY sequence")).scalars())


@pytest.mark.parametrize("statement", CHANGES)
def test_the_database_itself_refuses_to_change_audit_records(with_records: Database, statement: str) -> None:
    with pytest.raises(DBAPIError, match="append-only"), with_records.engine.begin() as connection:
        connection.execute(text(statement))
    assert bodies(with_records) == ["0", "1", "2"]


def test_sqlite_refuses_to_replace_an_audit_record(sqlite_database: Database) -> None:
    insert = "INTO audit_record VALUES (0, :body, '', '2026-01-01')"
    with sqlite_database.engine.begin() as connection:
        connection.execute(text(f"INSERT {insert}"), {"body": "first"})
    with pytest.raises(DBAPIError, match="append-only"), sqlite_database.engine.begin() as connection:
        connection.execute(text(f"INSERT OR REPLACE {insert}"), {"body": "second"})
    assert bodies(sqlite_database) == ["first"]


def test_postgresql_refuses_to_truncate_or_upsert_the_audit_log(with_records: Database) -> None:
    if with_records.is_sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    upsert = "INSERT INTO audit_record VALUES (0, 'x', '', now()) ON CONFLICT (sequence) DO UPDATE SET body = 'x'"
    for statement in ("TRUNCATE audit_record", upsert):
        with pytest.raises(DBAPIError, match="append-only"), with_records.engine.begin() as connection:
            connection.execute(text(statement))
    assert bodies(with_records) == ["0", "1", "2"]


def test_two_processes_that_upgrade_at_once_both_succeed(postgres: tuple[URL, str]) -> None:
    server, _ = postgres
    with copied(server, "template1") as empty, ThreadPoolExecutor(2) as pool:
        twin = Database(empty.url.render_as_string(hide_password=False))
        for done in [pool.submit(empty.upgrade), pool.submit(twin.upgrade)]:
            done.result()
        twin.close()
        empty.check_schema()
