"""The way into the inbox: a job is stored, once, and the worker woken."""

import asyncio

from bot.slack.jobs import Job, as_payload
from bot.slack.parts import SlackParts
from storage import inbox


async def store_job(parts: SlackParts, job: Job) -> None:
    """Write the job to the inbox unless it is there; when this returns, it will be done, whatever happens."""
    async with parts.storing:
        new = await asyncio.to_thread(_receive, parts, job)
    if new:
        parts.arrived.set()


def _receive(parts: SlackParts, job: Job) -> bool:
    return inbox.receive(parts.database, job.key, job.kind, as_payload(job), parts.clock(), lane=job.lane)
