"""The audit log's one table. The database itself refuses UPDATE and DELETE on it (triggers, see the migration)."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import insert, select, text
from sqlalchemy.exc import OperationalError
from sqlmodel import Field, Session, SQLModel, col

from storage.errors import UnreadableRecordError
from storage.records import time_field

BATCH = 5_000
"""Records that are held in memory at a time while the log is read."""


class AuditRecord(SQLModel, table=True):
    """One record: its place (from 0, without gaps), its canonical JSON, and the RFC 6962 leaf hash of that (hex)."""

    __tablename__ = "audit_record"

    sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    body: str
    leaf_hash: str
    created_at: datetime = time_field()


class LogRecord(NamedTuple):
    """A record as it is written and read; a plain tuple, because a log has a million of them."""

    sequence: int
    body: str
    leaf_hash: str
    created_at: datetime


_COLUMNS = select(
    col(AuditRecord.sequence), col(AuditRecord.body), col(AuditRecord.leaf_hash), col(AuditRecord.created_at)
)

_INSERT = insert(AuditRecord)


def lock_audit_log(session: Session) -> None:
    """Make writers of the log take turns until this transaction ends; SQLite's write lock does that by itself."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(text("SELECT pg_advisory_xact_lock(7260012)"))


def next_sequence(session: Session) -> int:
    """Return the place of the next record, which is how many there are; to add one, call `lock_audit_log` first."""
    last = session.connection().exec_driver_sql("SELECT max(sequence) FROM audit_record").scalar()
    return 0 if last is None else int(last) + 1


def add_audit_records(session: Session, records: Iterable[LogRecord]) -> None:
    """Write records at once, in the caller's transaction."""
    if rows := [record._asdict() for record in records]:
        session.connection().execute(_INSERT, rows)


def find_audit_record(session: Session, sequence: int) -> LogRecord | None:
    """Return the record at a place; None where there is none.

    Raises:
        UnreadableRecordError: what is there is no record.

    """
    with _refusing_the_unreadable():
        row = session.connection().execute(_COLUMNS.where(col(AuditRecord.sequence) == sequence)).first()
    return None if row is None else LogRecord._make(row)


def read_audit_records(session: Session, start: int = 0, end: int | None = None) -> Iterator[LogRecord]:
    """Give the records from place `start` to before `end`, or all the rest, in order, a batch in memory at a time.

    From 0 it also gives what somebody put before the first place.

    Raises:
        UnreadableRecordError: something in the batch that comes next is no record.

    """
    place = col(AuditRecord.sequence)
    query = _COLUMNS.order_by(place)
    if start:
        query = query.where(place >= start)
    if end is not None:
        query = query.where(place < end)
    with _refusing_the_unreadable():
        yield from map(LogRecord._make, session.connection().execute(query.execution_options(yield_per=BATCH)))


class Entry(NamedTuple):
    """What a record says in short, and its place."""

    place: int
    action: str
    actor: str


def records_about(session: Session, object_id: str) -> list[Entry]:
    """Return the records whose object this is, in the log's order; reads the whole log in the database."""
    about = col(AuditRecord.body).contains(f'"object":{json.dumps(object_id, ensure_ascii=False)}', autoescape=True)
    rows = session.connection().execute(_COLUMNS.where(about).order_by(col(AuditRecord.sequence)))
    bodies = ((row[0], json.loads(row[1])) for row in rows)
    return [Entry(place, body["action"], body["actor"]) for place, body in bodies]


@contextmanager
def _refusing_the_unreadable() -> Iterator[None]:
    """SQLite takes any bytes in any column: a text that is not UTF-8, a time that is none."""
    try:
        yield
    except (ValueError, TypeError) as error:
        raise UnreadableRecordError(f"the audit log's table holds what is no record: {error}.") from error
    except OperationalError as error:
        if "decode" not in str(error.orig):
            raise
        raise UnreadableRecordError(f"the audit log's table holds what is no record: {error.orig}.") from error
