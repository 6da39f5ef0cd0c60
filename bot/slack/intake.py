"""The way into the inbox: jobs are stored, each once and in order, and the worker is woken.

One commit takes in all that came while the one before it was under way: a commit waits for the disk, and events come
faster than a disk turns. Nobody is told that a job is stored before its commit.
"""

import asyncio
from collections.abc import Sequence

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from bot.slack.jobs import Job, as_payload
from bot.slack.parts import Arriving, SlackParts
from storage import inbox
from storage.database import Database
from storage.inbox import Arrival


async def store_job(parts: SlackParts, job: Job) -> None:
    """Write the job to the inbox unless it is there; when this returns, it will be done, whatever happens."""
    mine = Arriving(Arrival(job.key, job.kind, as_payload(job), parts.clock()))
    parts.arriving.append(mine)
    async with parts.storing:
        if not mine.settled:  # else whoever held the lock before has stored it too
            await _store_all(parts)
    if mine.error is not None:
        raise mine.error


async def _store_all(parts: SlackParts) -> None:
    """Store what has arrived. Cancelled on the way, it leaves all to the next, for which storing twice is harmless."""
    batch = tuple(parts.arriving)
    arrivals = [each.arrival for each in batch]
    loop = asyncio.get_running_loop()
    errors = await loop.run_in_executor(parts.inbox_thread, _write, parts.database, arrivals)
    for each, error in zip(batch, errors, strict=True):
        each.settled, each.error = True, error
    del parts.arriving[: len(batch)]
    parts.arrived.set()


def _write(database: Database, arrivals: Sequence[Arrival]) -> list[Exception | None]:
    """Store events in one transaction; return of each why it is not stored.

    One that the database does not take keeps no other out: then each is stored by itself.
    """
    try:
        inbox.receive(database, arrivals)
    except SQLAlchemyError as error:
        if len(arrivals) == 1 or isinstance(error, OperationalError):  # the latter: the database is away, or busy
            return [error] * len(arrivals)
        return [result for each in arrivals for result in _write(database, [each])]
    return [None] * len(arrivals)
