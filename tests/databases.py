"""Databases for tests: migrated once a session and copied for each test, on SQLite and on a throwaway PostgreSQL."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import URL, make_url

from storage.database import Database
from storage.records import new_id

TEMPLATE = "apprentice_template"
UNPRIVILEGED_USER = "postgres"
START_TIMEOUT_S = 60


@contextmanager
def postgres_server() -> Iterator[URL]:
    """Give the URL of a PostgreSQL server: APPRENTICE_TEST_POSTGRES, or one that is started for this session.

    Without either, the tests that need it are skipped; on CI they fail, so that nothing goes untested there unseen.
    """
    if given := os.environ.get("APPRENTICE_TEST_POSTGRES"):
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    programs = _find_programs()
    if programs is None:
        message = "no PostgreSQL: install it, or set APPRENTICE_TEST_POSTGRES to the URL of a server for tests."
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    with _started(programs) as socket_folder:
        yield URL.create("postgresql+psycopg", "postgres", database="postgres", query={"host": str(socket_folder)})


def create_template(server: URL) -> str:
    """Migrate one database, of which each test gets a copy; return its name."""
    name = f"{TEMPLATE}_{new_id('t')}"
    _administer(server, f'CREATE DATABASE "{name}"')
    database = Database(server.set(database=name).render_as_string(hide_password=False))
    database.upgrade()
    database.close()
    return name


@contextmanager
def copied(server: URL, template: str) -> Iterator[Database]:
    """Give a fresh migrated database on the server, and drop it afterwards."""
    name = new_id("test")
    _administer(server, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    database = Database(server.set(database=name).render_as_string(hide_password=False))
    try:
        yield database
    finally:
        database.close()
        _administer(server, f'DROP DATABASE "{name}" WITH (FORCE)')


def drop_template(server: URL, template: str) -> None:
    """Remove what `create_template` made; matters on a server that outlives the tests."""
    _administer(server, f'DROP DATABASE "{template}" WITH (FORCE)')


def _administer(server: URL, statement: str) -> None:
    url = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def _find_programs() -> Path | None:
    """Return the folder that holds both initdb and pg_ctl; the newest version when there are several."""
    on_path = shutil.which("pg_ctl")
    candidates = [Path(on_path).resolve().parent] if on_path else []
    candidates += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True
    )
    return next((path for path in candidates if (path / "initdb").exists() and (path / "pg_ctl").exists()), None)


@contextmanager
def _started(programs: Path) -> Iterator[Path]:
    """Run a server that listens on a socket in a temporary folder only; give that folder."""
    folder = Path(tempfile.mkdtemp(prefix="apprentice-pg-"))
    user = _user_for_server(folder)
    data, options = folder / "data", f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    try:
        _run([programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"], user)
        control = [programs / "pg_ctl", "-D", data, "-w", "-t", str(START_TIMEOUT_S)]
        _run([*control, "-l", folder / "log", "-o", options, "start"], user)
        try:
            yield folder
        finally:
            _run([*control, "-m", "immediate", "stop"], user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user_for_server(folder: Path) -> str | None:
    """Return the user to run as: PostgreSQL refuses root, so the folder is then given to another user."""
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(UNPRIVILEGED_USER)
    except KeyError:
        account = pwd.getpwnam("nobody")
    os.chown(folder, account.pw_uid, account.pw_gid)
    return account.pw_name


def _run(command: list[str | Path], user: str | None) -> None:
    try:
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            user=user,
            group=user and pwd.getpwnam(user).pw_gid,
            extra_groups=[] if user else None,
            cwd="/",
            text=True,
            timeout=2 * START_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"{command[0]} failed: {error.stdout}\n{error.stderr}") from error
