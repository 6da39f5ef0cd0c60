"""When training starts by itself: a cron line in the settings, and enough that is new since the last run."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from storage.database import Database
from storage.domains import Labels
from storage.errors import ConfigurationError
from storage.feedback import count_corrections
from storage.runs import list_runs


def parse_schedule(cron: str) -> CronTrigger:
    """Read a five-field cron line (minute, hour, day, month, weekday), in UTC.

    Raises:
        ConfigurationError: it is not one.

    """
    try:
        return CronTrigger.from_crontab(cron, timezone=UTC)
    except ValueError as error:
        raise ConfigurationError(
            f"training.schedule is {cron!r}, which is not a cron line ({error}). "
            "Write five fields, for example '0 2 * * *' for two o'clock each night (UTC), or '' for never."
        ) from error


def next_time(cron: str, now: datetime) -> datetime | None:
    """Return when `cron` is due next; None for an empty line, which means never."""
    due: datetime | None = parse_schedule(cron).get_next_fire_time(None, now) if cron else None
    return due


def start_schedule(cron: str, look: Callable[[], Awaitable[None]]) -> AsyncIOScheduler:
    """Call `look` at the times of `cron`, on the running event loop, never twice at once. An empty line means never."""
    scheduler = AsyncIOScheduler(timezone=UTC)
    if cron:
        scheduler.add_job(look, parse_schedule(cron), max_instances=1, coalesce=True, misfire_grace_time=3600)
    scheduler.start()
    return scheduler


def new_corrections(database: Database, labels: Labels) -> int:
    """Count a domain's accepted corrections that came after its last run that succeeded was made."""
    with database.read() as session:
        succeeded = list_runs(session, "succeeded", domain=labels.domain)
        return count_corrections(session, labels, after=succeeded[0].created_at if succeeded else None)
