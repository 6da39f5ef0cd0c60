"""The way into the inbox: a job is stored, once, and the worker woken."""

import asyncio

from bot.slack.jobs import Job, Question, as_payload
from bot.slack.overload import admit, place_of
from bot.slack.parts import SlackParts
from storage import inbox
from storage.people import person_id


async def store_job(parts: SlackParts, job: Job) -> None:
    """Write the job to the inbox unless it is there; when this returns, it will be done, whatever happens.

    A question over a limit is stored as its refusal.
    """
    async with parts.storing:
        new = await asyncio.to_thread(_store, parts, job)
    if new:
        parts.arrived.set()


def _store(parts: SlackParts, job: Job) -> bool:
    now = parts.clock()
    if not isinstance(job, Question):
        return inbox.receive(parts.database, job.key, job.kind, as_payload(job), now)
    taken = admit(parts.database, job, parts.settings.slack, now)
    return inbox.receive(
        parts.database,
        taken.key,
        taken.kind,
        as_payload(taken),
        now,
        person=person_id(job.team, job.user),
        place=place_of(job),
    )
