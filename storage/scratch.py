"""A database for one measurement: a file, or a schema of its own in a PostgreSQL database, dropped afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.schema import CreateSchema, DropSchema

from storage.database import Database
from storage.errors import ConfigurationError
from storage.records import new_id


@contextmanager
def scratch_database(url: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty, migrated database: SQLite in `folder`, or in the PostgreSQL database that `url` names.

    Raises:
        ConfigurationError: the URL names no PostgreSQL database.
        DatabaseUnreachableError: the server does not answer.

    """
    if not url:
        yield _migrated(f"sqlite:///{folder / 'scratch.db'}")
        return
    server, schema = Database(url), new_id("scratch")
    if server.is_sqlite:
        raise ConfigurationError("that is SQLite. Name a PostgreSQL database, or none: SQLite is what is taken then.")
    server.check_connection()
    with server.engine.begin() as connection:
        connection.execute(CreateSchema(schema))
    try:
        own = server.url.update_query_dict({"options": f"-csearch_path={schema}"})
        yield _migrated(own.render_as_string(hide_password=False))
    finally:
        with server.engine.begin() as connection:
            connection.execute(DropSchema(schema, cascade=True))
        server.close()


def _migrated(url: str) -> str:
    database = Database(url)
    database.upgrade()
    database.close()
    return url
