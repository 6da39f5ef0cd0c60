"""The audit log's one table. The database itself refuses UPDATE and DELETE on it (triggers, see the migration)."""

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import text
from sqlmodel import Field, Session, SQLModel, col, func, select

from storage.records import time_field


class AuditRecord(SQLModel, table=True):
    """One record: its place (from 0, without gaps), its canonical JSON, and the RFC 6962 leaf hash of that (hex)."""

    __tablename__ = "audit_record"

    sequence: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    body: str
    leaf_hash: str
    created_at: datetime = time_field()


def lock_audit_log(session: Session) -> None:
    """Make writers of the log take turns until this transaction ends; SQLite's write lock does that by itself."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection().execute(text("SELECT pg_advisory_xact_lock(7260012)"))


def next_sequence(session: Session) -> int:
    """Return the place of the next record, which is how many there are; to add one, call `lock_audit_log` first."""
    last = session.exec(select(func.max(AuditRecord.sequence))).one()
    return 0 if last is None else int(last) + 1


def read_audit_records(session: Session, start: int | None = None, batch: int = 1_000) -> Iterator[AuditRecord]:
    """Give all records, or those from place `start` on, in order, holding `batch` of them in memory at a time."""
    query = select(AuditRecord).order_by(col(AuditRecord.sequence))
    if start is not None:
        query = query.where(col(AuditRecord.sequence) >= start)
    yield from session.exec(query.execution_options(yield_per=batch))
