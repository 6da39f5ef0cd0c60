"""The way into the inbox: jobs are stored, each once and in order, and the worker is woken.

One commit takes in all that came while the one before it was under way: a commit waits for the disk, and events come
faster than a disk turns. Nobody is told that a job is stored before its commit.
"""

import asyncio
from collections.abc import Sequence

from slack_bolt.async_app import AsyncAck
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlmodel import Session

from bot.slack import names
from bot.slack.jobs import Decision, Job, Question, Review, as_payload
from bot.slack.overload import admit, asks, place_of
from bot.slack.parts import Arriving, SlackParts
from bot.slack.policy_jobs import PolicyVote, PolicyWithdrawal
from bot.slack.requests import Command
from bot.slack.rollback_jobs import RollbackRequest
from governance.reasons import check_reason
from storage import inbox
from storage.errors import ApprenticeError
from storage.inbox import Arrival
from storage.people import person_id
from storage.settings import SlackSettings


async def store_job(parts: SlackParts, job: Job) -> None:
    """Write the job to the inbox unless it is there; when this returns, it will be done, whatever happens.

    A question over a limit is stored as its refusal.
    """
    mine = Arriving(job, parts.clock())
    parts.arriving.append(mine)
    async with parts.storing:
        if not mine.settled:  # else whoever held the lock before has stored it too
            await _store_all(parts)
    if mine.error is not None:
        raise mine.error


async def store_explained(
    parts: SlackParts,
    ack: AsyncAck,
    job: Decision | PolicyVote | PolicyWithdrawal | RollbackRequest | Review,
    what: str,
) -> None:
    """Store what a form asked a reason for; where the reason is none, the form says so and stays open.

    `what` is what needs the reason, such as "reject an adapter".
    """
    try:
        check_reason(job.reason, what)
    except ApprenticeError as error:
        await ack(response_action="errors", errors={names.REASON_BLOCK: str(error)})
        return
    await store_job(parts, job)
    await ack()


async def _store_all(parts: SlackParts) -> None:
    """Store what has arrived. Cancelled on the way, it leaves all to the next, for which storing twice is harmless."""
    batch = tuple(parts.arriving)
    loop = asyncio.get_running_loop()
    errors = await loop.run_in_executor(parts.inbox_thread, _write, parts, batch)
    for each, error in zip(batch, errors, strict=True):
        each.settled, each.error = True, error
    del parts.arriving[: len(batch)]
    parts.arrived.set()


def _write(parts: SlackParts, batch: Sequence[Arriving]) -> list[Exception | None]:
    """Store events in one transaction; return of each why it is not stored.

    One that the database does not take keeps no other out: then each is stored by itself.
    """
    try:
        with parts.database.transaction() as session:
            _receive(session, parts.settings.slack, batch)
    except SQLAlchemyError as error:
        if len(batch) == 1 or isinstance(error, OperationalError):  # the latter: the database is away, or busy
            return [error] * len(batch)
        return [result for each in batch for result in _write(parts, [each])]
    return [None] * len(batch)


def _receive(session: Session, limits: SlackSettings, batch: Sequence[Arriving]) -> None:
    ready: list[Arrival] = []
    for each in batch:
        job = each.job
        if limits.limits_questions and asks(job):
            inbox.receive(session, ready)  # they count
            ready, job = [], admit(session, job, limits, each.at)
        ready.append(_arrival(job, each))
    inbox.receive(session, ready)


def _arrival(job: Job, arriving: Arriving) -> Arrival:
    asked = arriving.job if asks(arriving.job) and not (isinstance(job, Command) and job.refused) else None
    return Arrival(
        key=job.key,
        kind=job.kind,
        lane=job.lane,
        payload=as_payload(job),
        received_at=arriving.at,
        person=person_id(asked.team, asked.user) if asked else None,
        place=place_of(asked) if isinstance(asked, Question) else None,
    )
