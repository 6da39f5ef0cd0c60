"""One database, SQLite or PostgreSQL: its connections, its transactions and its schema version."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Dialect, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.types import DateTime, TypeDecorator
from sqlmodel import Session

from storage.errors import ConfigurationError, DatabaseUnreachableError, SchemaOutdatedError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 30_000


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time that is always timezone-aware UTC in Python, whatever the database keeps."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times; give the others in UTC, without the zone where SQLite cannot keep one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value} refused: give it a time zone.")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Put UTC on what SQLite gives back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """Transactions on one database.

    `transaction()` takes the write lock at its start on SQLite (BEGIN IMMEDIATE), so that what it reads cannot change
    before it writes; on PostgreSQL callers lock the rows that they decide on (`with_for_update`).
    """

    def __init__(self, url: str) -> None:
        self.url = _parse(url)
        self.engine = _make_engine(self.url)
        self._writing = threading.Lock()

    @property
    def is_sqlite(self) -> bool:
        """Whether this is the embedded default."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session whose changes are committed together at the end, or not at all when an exception leaves it."""
        engine = self.engine.execution_options(apprentice_begin="BEGIN IMMEDIATE") if self.is_sqlite else self.engine
        with self._turn(), Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """On SQLite, wait until the other writers of this process are done.

        SQLite would wait too, but only look now and then, after up to 100 ms, whether the file is free; among many
        writers one that looks seldom is kept waiting for long.
        """
        taken = self.is_sqlite and self._writing.acquire(timeout=BUSY_TIMEOUT_MS / 1000)
        try:
            yield
        finally:
            if taken:
                self._writing.release()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session for reading; nothing is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def empty_log(self) -> None:
        """Leave no copy of what was erased in SQLite's write-ahead log, as far as nobody reads in it at this moment.

        PostgreSQL gives the room of old rows back when it vacuums, which it does by itself.
        """
        if self.is_sqlite:
            with self._turn(), closing(self.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def check_connection(self) -> None:
        """Ask the database one question.

        Raises:
            DatabaseUnreachableError: it does not answer.

        """
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except (OperationalError, DBAPIError) as error:
            reason = " ".join(str(error.orig).split()).rstrip(".?")
            raise DatabaseUnreachableError(
                f"cannot reach the database {self.url.render_as_string(hide_password=True)}: {reason}. "
                "Check that it runs, and database.url in apprentice.toml (or APPRENTICE_DATABASE__URL)."
            ) from error

    def upgrade(self) -> None:
        """Bring the schema to the newest version; does nothing when it is there already."""
        self.check_connection()
        with self.engine.begin() as connection:
            if not self.is_sqlite:  # two starts at once on PostgreSQL take turns; SQLite's own lock does it there
                connection.execute(text("SELECT pg_advisory_xact_lock(7260011)"))
            config = _alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def revisions(self) -> tuple[str | None, str]:
        """Return the schema's revision in the database (None: empty database), and the newest that the code knows."""
        with self.engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
        head = ScriptDirectory.from_config(_alembic_config()).get_current_head()
        assert head is not None
        return current, head

    def check_schema(self) -> None:
        """Refuse to work on a schema of another version.

        Raises:
            SchemaOutdatedError: the revisions differ.

        """
        current, head = self.revisions()
        if current != head:
            raise SchemaOutdatedError(
                f"the database's schema is at revision {current or 'none'}, this version needs {head}. "
                "Run `apprentice db upgrade`."
            )

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:  # ValueError: the port; may hold a password's end
        problem = "its port is no number" if isinstance(error, ValueError) else str(error)
        raise ConfigurationError(
            f"database.url is not usable ({problem}). "
            "Write sqlite:///path/to/file.db or postgresql://user:password@host:5432/name."
        ) from None
    if "@" in (parsed.host or ""):
        raise ConfigurationError("database.url has two '@'. Write the one in the user name or the password as %40.")
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        raise ConfigurationError(
            f"database.url names {parsed.get_backend_name()}; supported are sqlite and postgresql."
        )
    return parsed


def _make_engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 5})
    if url.database and url.database != ":memory:":
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DatabaseUnreachableError(
                f"cannot create the folder of {url.database}: {error.strerror}. Choose another data_folder."
            ) from error
    engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False})
    event.listen(engine, "connect", _prepare_sqlite_connection)
    event.listen(engine, "begin", _begin_sqlite_transaction)
    return engine


def _prepare_sqlite_connection(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we write BEGIN ourselves, see _begin_sqlite_transaction
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",  # what is erased is overwritten in the file
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite_transaction(connection: Any) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("apprentice_begin", "BEGIN"))


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
