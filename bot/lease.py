"""Holds the lease that lets one process run the bot on a database, and renews it while that process lives."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import psutil

from storage import leases
from storage.database import Database
from storage.leases import Lease
from storage.records import new_id, utc_now

log = logging.getLogger(__name__)

LENGTH = timedelta(seconds=30)
RENEWALS = 3  # renewed this many times in its length, so that one slow write loses nothing


@asynccontextmanager
async def held_lease(database: Database, name: str) -> AsyncIterator[None]:
    """Hold the lease for as long as the block runs.

    Raises:
        AlreadyRunningError: another live process holds it.

    """
    holder = f"{socket.gethostname()}:{os.getpid()}:{new_id('hold')}"
    await asyncio.to_thread(_acquire, database, name, holder)
    renewal = asyncio.create_task(_renew(database, name, holder))
    try:
        yield
    finally:
        renewal.cancel()
        with database.transaction() as session:
            leases.release(session, name, holder)


def _acquire(database: Database, name: str, holder: str) -> None:
    host, pid, _ = holder.split(":")
    with database.transaction() as session:
        lease = session.get(Lease, name)
        if lease is not None and _is_dead(lease.holder):
            session.delete(lease)
            session.flush()
        description = f"process {pid} on {host}"
        leases.acquire(session, name, holder, description, now=utc_now(), length=LENGTH)


def _is_dead(holder: str) -> bool:
    """Whether the holder was a process of this host that is no more; of another host's nothing can be known."""
    host, pid, _ = holder.split(":")
    return host == socket.gethostname() and not psutil.pid_exists(int(pid))


async def _renew(database: Database, name: str, holder: str) -> None:
    while True:
        await asyncio.sleep(LENGTH.total_seconds() / RENEWALS)
        try:
            await asyncio.to_thread(_acquire, database, name, holder)
        except Exception:
            log.exception("the lease %r could not be renewed; trying again", name)
