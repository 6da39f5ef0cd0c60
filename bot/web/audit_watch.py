"""Verifies the whole audit log now and then, apart from the pages, which only show what was found last."""

import asyncio
import logging
import threading
from dataclasses import dataclass
from datetime import datetime

from governance.audit import AuditLog, Verification
from storage.database import Database
from storage.records import Clock, utc_now

log = logging.getLogger(__name__)

INTERVAL_S = 900.0
"""Between two verifications. Each reads the whole log, so this bounds what that costs, however long the log grows."""


@dataclass(frozen=True)
class Finding:
    """What a verification found, and when it was begun."""

    verification: Verification
    at: datetime


class AuditWatch:
    """Keeps the latest finding; verifications never run side by side."""

    def __init__(self, audit: AuditLog, database: Database, clock: Clock = utc_now) -> None:
        self._audit = audit
        self._database = database
        self._clock = clock
        self._running = threading.Lock()
        self.latest: Finding | None = None

    def verify(self) -> None:
        """Verify now, unless that is under way already; blocks."""
        if not self._running.acquire(blocking=False):
            return
        try:
            at = self._clock()
            verification = self._audit.verify(self._database)
            self.latest = Finding(verification, at)
        finally:
            self._running.release()
        if not verification.verified:
            log.error("the audit log does not verify: %s", verification.problem)

    async def run(self) -> None:
        """Verify at once and every `INTERVAL_S` from then on, until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.verify)
            except Exception:
                log.exception("the audit log could not be read; trying again in %.0f s", INTERVAL_S)
            await asyncio.sleep(INTERVAL_S)
