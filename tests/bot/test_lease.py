"""The lease on a database as the process that runs the bot holds it."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.lease import held_lease
from storage import leases
from storage.database import Database
from storage.errors import AlreadyRunningError
from storage.leases import Lease
from storage.records import utc_now

HOUR = timedelta(hours=1)


def take(database: Database, holder: str) -> None:
    with database.transaction() as session:
        if (lease := session.get(Lease, "bot")) is not None:
            session.delete(lease)
            session.flush()
        leases.acquire(session, "bot", holder, "a process", now=utc_now(), length=HOUR)


@pytest.fixture
def zombie() -> Iterator[int]:
    """A killed process whose parent does not ask how it ended, as in a container without an init."""
    process = subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read()  # ends with the process
    yield process.pid
    process.wait()


async def test_who_held_it_too_long_ago_learns_that_another_process_has_it(sqlite_database: Database) -> None:
    async with held_lease(sqlite_database, "bot", timedelta(seconds=0.3)) as lost:
        assert not lost.is_set()
        take(sqlite_database, "elsewhere:1:hold")
        async with asyncio.timeout(20):
            await lost.wait()
    with sqlite_database.read() as session:
        lease = session.get(Lease, "bot")
    assert lease is not None
    assert lease.holder == "elsewhere:1:hold"


async def test_a_live_process_s_lease_is_respected(sqlite_database: Database) -> None:
    take(sqlite_database, f"{socket.gethostname()}:{os.getpid()}:hold")
    with pytest.raises(AlreadyRunningError, match="in use by another Apprentice"):
        async with held_lease(sqlite_database, "bot"):
            pass


async def test_a_killed_process_s_lease_is_free_at_once(sqlite_database: Database, zombie: int) -> None:
    take(sqlite_database, f"{socket.gethostname()}:{zombie}:hold")
    async with held_lease(sqlite_database, "bot") as lost:
        assert not lost.is_set()
