"""Keeps inbox and outbox small: what is settled goes after a while, and with it the texts that they hold."""

import asyncio
import logging
from datetime import datetime, timedelta

from sqlalchemy.exc import OperationalError

from bot.slack.jobs import LASTING
from bot.slack.parts import SlackParts
from storage import inbox, outbox
from storage.database import Database

log = logging.getLogger(__name__)

KEEP_DONE = timedelta(days=7)
"""Slack delivers an event again within the hour, with delayed events switched on within a day."""
KEEP_FAILED = timedelta(days=30)
"""So that an administrator finds what a reference number stands for."""
PAUSE_S = 3_600


async def keep_small(parts: SlackParts) -> None:
    """Sweep every hour until cancelled."""
    while True:
        try:
            await asyncio.to_thread(sweep, parts.database, parts.clock())
        except OperationalError:
            log.exception("inbox and outbox could not be swept; trying again in an hour")
        await asyncio.sleep(PAUSE_S)


def sweep(database: Database, now: datetime) -> None:
    """Delete what was done a week ago, and what was given up a month ago."""
    with database.transaction() as session:
        inbox.remove_settled(session, now - KEEP_DONE, now - KEEP_FAILED, LASTING)
        outbox.remove_settled(session, now - KEEP_DONE, now - KEEP_FAILED)
