"""The audit log: canonical JSON records in the database, a Merkle tree over them, signed checkpoints outside it.

Holds ids and digests, never what a person wrote, so that erasing a person leaves every proof intact. What it cannot
show: that somebody who can write to the database added a record of their own at the end before it was next signed.
"""

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import rfc8785
from sqlmodel import Session

from governance.checkpoints import Checkpoint, CheckpointFolder, SigningKey, format_time
from governance.errors import AuditLogError
from governance.merkle import Frontier, leaf_hash, root_of
from storage.audit import (
    LogRecord,
    add_audit_records,
    find_audit_record,
    next_sequence,
    read_audit_records,
)
from storage.database import Database
from storage.errors import UnreadableRecordError

SIGNING_PATIENCE_S = 2.0
"""How long verification waits for a writer to sign what it has just committed."""


class LogEntry(NamedTuple):
    """What a record says, before it has a place in the log."""

    actor: str
    action: str
    object_id: str
    time: datetime
    digests: Mapping[str, str] = {}
    reason: str = ""

    def record(self, sequence: int) -> LogRecord:
        """Return the record at this place. Of `reason`, which a person wrote, it holds the SHA-256 only."""
        body = rfc8785.dumps(
            {
                "action": self.action,
                "actor": self.actor,
                "digests": dict(self.digests),
                "object": self.object_id,
                "reason_sha256": text_digest(self.reason) if self.reason else "",
                "sequence": sequence,
                "time": format_time(self.time),
            }
        )
        return LogRecord(sequence, body.decode(), leaf_hash(body).hex(), self.time)


@dataclass(frozen=True)
class Verification:
    """What verifying found. `first_bad` is the place of the first record that is not as it was signed."""

    verified: bool
    records: int
    root: str
    problem: str = ""
    first_bad: int | None = None


class AuditLog:
    """Appends to the log, signs it, verifies it. Holds no connection: the session or database is passed in."""

    def __init__(self, key_folder: Path, checkpoint_folder: Path) -> None:
        self.key = SigningKey(key_folder)
        self._signing = threading.Lock()
        self._newest: Checkpoint | None = None
        self.checkpoints = CheckpointFolder(checkpoint_folder, self.key)

    def append(self, session: Session, *entries: LogEntry) -> None:
        """Add records in the caller's transaction, so that they stand exactly if the changes that they tell of do.

        Call `lock_audit_log` in that transaction first: two writers at once would take the same place.
        """
        first = next_sequence(session)
        add_audit_records(session, (entry.record(place) for place, entry in enumerate(entries, first)))

    def sign(self, database: Database, now: datetime) -> Checkpoint:
        """Sign everything that is committed, as the newest checkpoint; call after each transaction that appended.

        Raises:
            AuditLogError: the database or the folder holds less than was signed before, or the folder was changed.

        """
        with self._signing:
            self._newest = self._sign_all(database, now)
            return self._newest

    def _sign_all(self, database: Database, now: datetime) -> Checkpoint:
        with self.checkpoints.lock(), database.read() as session:
            previous = self.checkpoints.latest()
            self._refuse_older(previous)
            signed = previous.size if previous else 0
            records = next_sequence(session)
            if previous and records == signed:
                return previous
            if records < signed:
                raise AuditLogError(
                    f"the audit log has {records} records, but {signed} were signed: some were removed. "
                    "Nothing is signed over that. Run `apprentice audit verify`, and restore the database."
                )
            new = (leaf_hash(record.body.encode()) for record in read_audit_records(session, signed))
            return self.checkpoints.extend(previous, new, now)

    def _refuse_older(self, found: Checkpoint | None) -> None:
        """Sign nothing on top of a checkpoint that this process has seen a newer one of, or another."""
        seen = self._newest
        if seen and (found is None or found.size < seen.size or (found.size == seen.size and found.root != seen.root)):
            raise AuditLogError(
                f"{self.checkpoints.folder} holds the checkpoint of {found.size if found else 0} records, after one of "
                f"{seen.size} had been signed: it was put back, or exchanged. Nothing is signed over that. "
                "Restore the folder from a backup."
            )

    def checkpoint(self, database: Database, now: datetime) -> Path:
        """Sign everything that is committed, and keep that checkpoint under its own name; return its file."""
        return self.checkpoints.keep(self.sign(database, now))

    def verify(self, database: Database, *others: Path) -> Verification:
        """Recompute the log from its first record and hold it against what was signed; the database is not trusted.

        Finds any edit, removal, insertion, reordering and truncation. Reads the log once, in bounded memory. `others`
        are files of checkpoints that were kept elsewhere: with them, a log and a folder that were both put back or
        rewritten are found too.
        """
        try:
            signed = self.checkpoints.kept(*others)
        except AuditLogError as error:
            return Verification(verified=False, records=0, root="", problem=str(error))
        newest = max(signed, default=0)
        witnessed = newest and root_of(self._witness(newest)).hex() == signed[newest].root
        check = _Check(signed, self._witness(newest) if witnessed else iter(()))
        found = check.read(database)
        if found.verified and found.records > newest:
            found = self._wait_for_signature(found)
        if found.verified and newest and not witnessed:
            problem = f"{self.checkpoints.folder} lost leaf hashes; the records match. Restore it from a backup."
            return Verification(verified=False, records=found.records, root=found.root, problem=problem)
        return found

    def _witness(self, size: int) -> Iterator[bytes]:
        return islice(self.checkpoints.leaves(), size)

    def _wait_for_signature(self, found: Verification) -> Verification:
        """Give a writer that has just committed the time to sign; records that stay unsigned do not verify."""
        deadline = time.monotonic() + SIGNING_PATIENCE_S
        newest = self.checkpoints.latest()
        while (newest is None or newest.size < found.records) and time.monotonic() < deadline:
            time.sleep(SIGNING_PATIENCE_S / 20)
            newest = self.checkpoints.latest()
        if newest and newest.size >= found.records and root_of(self._witness(found.records)).hex() == found.root:
            return found
        size = newest.size if newest else 0
        problem = (
            f"records {size} to {found.records - 1} are not signed: they were inserted by something else than "
            "Apprentice, the signed checkpoints were removed, or a process was killed before it could sign (then "
            "the next change, or the next start, signs them)."
        )
        return Verification(verified=False, records=found.records, root=found.root, problem=problem, first_bad=size)


class _Check:
    """One pass over the records, in order, that stops at the first which is not as it must be."""

    def __init__(self, signed: Mapping[int, Checkpoint], witness: Iterator[bytes]) -> None:
        self.signed = signed
        self.witness = witness
        self.tree = Frontier()
        self.last_good = 0

    def read(self, database: Database) -> Verification:
        with database.read() as session:
            try:
                return self._read(self._records(session))
            except UnreadableRecordError as error:
                return self._bad(f"record {self.tree.size} was edited: {error}", self.tree.size)

    def _records(self, session: Session) -> Iterator[LogRecord]:
        """Give all records; from a batch in which one is unreadable on, one by one, so that its place is known."""
        try:
            yield from read_audit_records(session)
        except UnreadableRecordError:
            while record := find_audit_record(session, self.tree.size):
                yield record

    def _read(self, records: Iterator[LogRecord]) -> Verification:
        for record in records:
            place = self.tree.size
            problem = contradiction(record, place) or self._add(record)
            if problem:
                return self._bad(problem, place)
            if self._breaks_checkpoint():
                span = f"records {self.last_good} to {place}"
                return self._bad(f"one of {span} is not the one that was signed.", self.last_good)
        newest = max(self.signed, default=0)
        if self.tree.size < newest:
            problem = f"record {self.tree.size} and later ones were removed: {newest} were signed."
            return self._bad(problem, self.tree.size)
        return Verification(verified=True, records=self.tree.size, root=self.tree.root().hex())

    def _add(self, record: LogRecord) -> str:
        leaf = leaf_hash(record.body.encode())
        expected = next(self.witness, None)
        if expected is not None and leaf != expected:
            return f"record {record.sequence} is not the one that was signed."
        self.tree.append(leaf)
        return ""

    def _breaks_checkpoint(self) -> bool:
        checkpoint = self.signed.get(self.tree.size)
        if checkpoint is None:
            return False
        if checkpoint.root != self.tree.root().hex():
            return True
        self.last_good = self.tree.size
        return False

    def _bad(self, problem: str, place: int) -> Verification:
        root = self.tree.root().hex()
        return Verification(verified=False, records=self.tree.size, root=root, problem=problem, first_bad=place)


def text_digest(text: str) -> str:
    """Return the SHA-256, in hex, of a text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def contradiction(record: LogRecord, place: int) -> str:
    """Say how a record contradicts itself or its place; empty when it does not."""
    if record.sequence != place:
        return f"record {place} is missing: record {record.sequence} is in its place."
    if not isinstance(record.body, str) or leaf_hash(record.body.encode()).hex() != record.leaf_hash:
        return f"record {place} was edited: its hash is not that of its body."
    try:
        content = json.loads(record.body)
        agrees = content["sequence"] == place and content["time"] == format_time(record.created_at)
    except (ValueError, TypeError, KeyError):
        agrees = False
    return "" if agrees else f"record {place} was edited or moved: its body tells of another place or time."
