"""Follows the audit log while it grows: each new checkpoint must prove that its log begins with the one seen before.

Whoever runs this where the log's owner cannot write, with the last checkpoint kept there too, finds a log that was put
back or rewritten together with its checkpoint folder, which nothing in the two can show.
"""

import json
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from governance.audit import AuditLog, contradiction
from governance.audit_proofs import check_consistency, frontier_of
from governance.checkpoints import Checkpoint, write_durably
from governance.errors import AuditLogError
from governance.merkle import consistency_path, leaf_hash, root_of
from storage.audit import LogRecord, read_audit_records
from storage.database import Database
from storage.errors import UnreadableRecordError


class LogFollower:
    """Keeps the newest checkpoint that it has seen; in a file too, if it is given one."""

    def __init__(self, audit: AuditLog, database: Database, state: Path | None = None) -> None:
        self._audit = audit
        self._database = database
        self._state = state
        self.seen: Checkpoint | None = None

    def verify(self) -> None:
        """Verify the whole log, and that it is the one that was seen; the first time, begin at its newest checkpoint.

        Raises:
            AuditLogError: the log does not verify, or is not the one that was seen.

        """
        known = [self._state] if self._state and self._state.exists() else []
        if self.seen is None:
            self.seen = self._audit.checkpoints.read(known[0]) if known else self._audit.checkpoints.latest()
        found = self._audit.verify(self._database, *known)
        if not found.verified:
            raise AuditLogError(found.problem)
        self._keep()

    def step(self) -> list[LogRecord]:
        """Return the records that were signed since the last step, after proving that nothing before them changed.

        Raises:
            AuditLogError: something was tampered with; the message names the first bad record where it can.

        """
        newest = self._audit.checkpoints.latest()
        start = self.seen.size if self.seen else 0
        if newest is None or newest.size < start:
            if not start:
                return []
            raise AuditLogError(
                f"{newest.size if newest else 0} records are signed, but {start} were before: the log was put back, "
                f"and record {newest.size if newest else 0} is the first that is missing."
            )
        try:
            with self._database.read() as session:
                records = list(read_audit_records(session, start, newest.size))
        except UnreadableRecordError as error:
            raise AuditLogError(f"one of records {start} to {newest.size - 1} was edited: {error}") from error
        self._check(records, newest)
        if newest != self.seen:
            self.seen = newest
            self._keep()
        return records

    def _check(self, records: list[LogRecord], newest: Checkpoint) -> None:
        start = self.seen.size if self.seen else 0
        leaves = [leaf_hash(record.body.encode()) for record in records]
        witness = list(islice(self._audit.checkpoints.leaves(start), newest.size - start))
        for place in range(start, newest.size):
            record = records[place - start] if place - start < len(records) else None
            if record is None:
                raise AuditLogError(f"record {place} is missing: {newest.size} were signed.")
            if problem := contradiction(record, place):
                raise AuditLogError(problem)
            if witness[place - start : place - start + 1] not in ([], [leaves[place - start]]):
                raise AuditLogError(f"record {place} is not the one that was signed.")
        if self.seen is not None and start:
            check_consistency(self.seen, newest, consistency_path(frontier_of(self.seen), newest.size, iter(leaves)))
        elif root_of(leaves).hex() != newest.root:
            raise AuditLogError(f"one of records 0 to {newest.size - 1} is not the one that was signed.")

    def _keep(self) -> None:
        if self._state is not None and self.seen is not None:
            write_durably(self._state, json.dumps(asdict(self.seen)).encode())
