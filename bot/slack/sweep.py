"""Every hour: texts whose time is over by the policy go, those of settled jobs and messages, and what was erased."""

import asyncio
import logging
from datetime import datetime, timedelta

from sqlalchemy.exc import OperationalError

from bot.slack.jobs import LASTING
from bot.slack.parts import SlackParts
from governance.privacy.rules import RetentionRules
from learning.erasure import forget
from storage import inbox, outbox
from storage.database import Database

log = logging.getLogger(__name__)

PAUSE_S = 3_600


async def keep_small(parts: SlackParts) -> None:
    """Sweep every hour until cancelled."""
    while True:
        try:
            await asyncio.to_thread(sweep_all, parts)
        except OperationalError:
            log.exception("texts whose time is over could not be swept away; trying again in an hour")
        await asyncio.sleep(PAUSE_S)


def sweep_all(parts: SlackParts) -> None:
    """Do all of it once; blocks."""
    governance = parts.governance
    sweep(parts.database, parts.clock(), governance.policy.retention)
    governance.enforce_retention()
    forget(parts.database, parts.store, governance, parts.settings.run_folder)


def sweep(database: Database, now: datetime, rules: RetentionRules) -> None:
    """Delete jobs and messages that were done, or given up, as long ago as the policy says."""
    done, failed = now - timedelta(days=rules.done_days), now - timedelta(days=rules.failed_days)
    with database.transaction() as session:
        inbox.remove_settled(session, done, failed, LASTING)
        outbox.remove_settled(session, done, failed)
