"""Holds the lease that lets one process run the bot on a database, and renews it while that process lives."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psutil
from sqlalchemy.exc import OperationalError

from storage import leases
from storage.database import Database
from storage.errors import AlreadyRunningError
from storage.leases import Lease
from storage.records import new_id, utc_now

log = logging.getLogger(__name__)

LENGTH = timedelta(seconds=30)
RENEWALS = 3  # renewed this many times in its length, so that one slow write loses nothing


@asynccontextmanager
async def held_lease(database: Database, name: str, length: timedelta = LENGTH) -> AsyncIterator[asyncio.Event]:
    """Hold the lease for as long as the block runs; the event is set when another process took it over.

    That happens to a process that stood still (a suspended machine) or was cut off for longer than a lease's length.

    Raises:
        AlreadyRunningError: another live process holds it.

    """
    holder = f"{socket.gethostname()}:{os.getpid()}:{new_id('hold')}"
    await asyncio.to_thread(_acquire, database, name, holder, length)
    lost = asyncio.Event()
    renewal = asyncio.create_task(_renew(database, name, holder, length, lost))
    try:
        yield lost
    finally:
        renewal.cancel()
        try:
            with database.transaction() as session:
                leases.release(session, name, holder)
        except OperationalError:
            log.warning("the lease %r could not be given back; it runs out by itself", name)


def _acquire(database: Database, name: str, holder: str, length: timedelta) -> None:
    host, pid, _ = holder.split(":")
    with database.transaction() as session:
        lease = session.get(Lease, name)
        if lease is not None and _is_dead(lease.holder):
            session.delete(lease)
            session.flush()
        description = f"process {pid} on {host}"
        leases.acquire(session, name, holder, description, now=utc_now(), length=length)


def _is_dead(holder: str) -> bool:
    """Whether the holder was a process of this host that is no more; of another host's nothing can be known."""
    host, pid, _ = holder.split(":")
    return host == socket.gethostname() and not _lives(int(pid))


def _lives(pid: int) -> bool:
    """Whether the process runs; a killed one whose parent has not noticed yet does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def _renew(database: Database, name: str, holder: str, length: timedelta, lost: asyncio.Event) -> None:
    while True:
        await asyncio.sleep(length.total_seconds() / RENEWALS)
        try:
            await asyncio.to_thread(_acquire, database, name, holder, length)
        except AlreadyRunningError as error:
            log.error("the lease %r was lost: %s", name, error)  # noqa: TRY400 - expected, a traceback tells nothing
            lost.set()
            return
        except Exception:
            log.exception("the lease %r could not be renewed; trying again", name)
