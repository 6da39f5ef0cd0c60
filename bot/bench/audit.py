"""`apprentice bench audit`: how fast the audit log is written and verified, beside a plain table, a commit a record.

Records are written as everything in the product is: each by one change, in a transaction of its own with the state that
it tells of, hashed, and signed before the caller goes on. The plain table is what one would keep instead.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, insert

from bot.bench.child import BenchError
from governance.audit import AuditLog, LogEntry, Verification
from governance.ledger import Ledger
from governance.policy import load_policy
from storage.audit import lock_audit_log, next_sequence, read_audit_records
from storage.database import Database
from storage.records import utc_now
from storage.scratch import scratch_database

WRITERS = (1, 8, 64)
"""Threads that write at once, as many people in Slack do."""
AT_ONCE = 5_000
"""Records of one change while the log that is verified is filled."""
PLAIN = Table(
    "plain_log",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("actor", String),
    Column("action", String),
    Column("object", String),
    Column("created_at", DateTime(timezone=True)),
)
SHOW = Callable[[str, int, int, str], None]


def measure(
    appended: int, verified: int, writers: Sequence[int], folder: Path, database_url: str, show: SHOW
) -> dict[str, Any]:
    """Measure both tables with so many records, one after the other, in an empty database.

    Args:
        appended: records that are written with each number of writers.
        verified: records of the log that is verified, at least.
        writers: threads that write at once, in the order in which they are tried.
        folder: where keys, checkpoints and SQLite's file lie.
        database_url: a PostgreSQL database, in which a schema is made and dropped; empty for SQLite in `folder`.
        show: hears of progress.

    Returns:
        `appends`: of each number of writers the records a second of both tables, and ours divided by the plain one's.
        `at_once_per_s`: records a second where 5,000 are one change. `verify`: how many records were verified, in how
        many seconds, and how many times as long that took as reading them alone.

    Raises:
        BenchError: a record was lost, or the log does not verify.

    """
    with scratch_database(database_url, folder) as url:
        database, audit = Database(url), AuditLog(folder / "keys", folder / "checkpoints")
        PLAIN.create(database.engine)
        appends = [_compare(database, audit, appended, each, show) for each in writers]
        at_once = _fill(database, audit, verified, show)
        verify = _verify(database, audit, show)
        database.close()
    return {
        "database": "postgresql" if database_url else "sqlite",
        "appends": appends,
        "at_once_per_s": round(at_once),
        "verify": verify,
    }


def _compare(database: Database, audit: AuditLog, records: int, writers: int, show: SHOW) -> dict[str, Any]:
    ledger = Ledger(database, load_policy(), audit, utc_now)

    def append(number: int) -> None:
        with ledger.changes() as session:
            ledger.record(session, "bench.wrote", f"thing-{number}", {}, actor="T1/U1")

    def plain(number: int) -> None:
        row = {"actor": "T1/U1", "action": "bench.wrote", "object": f"thing-{number}", "created_at": utc_now()}
        with database.transaction() as session:
            session.connection().execute(insert(PLAIN), row)

    before = _count(database)
    ours = _timed(append, records, writers, f"{writers} writers: ours", show)
    other = _timed(plain, records, writers, f"{writers} writers: plain table", show)
    if _count(database) - before != records:
        raise BenchError(f"{_count(database) - before} records of {records} are in the log.")
    return {
        "writers": writers,
        "records": records,
        "ours_per_s": round(records / ours, 1),
        "plain_per_s": round(records / other, 1),
        "ours_to_plain": round(other / ours, 2),
    }


def _timed(work: Callable[[int], None], times: int, threads: int, what: str, show: SHOW) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for done, _ in enumerate(pool.map(work, range(times)), 1):
            show(what, done, times, "")
    return time.perf_counter() - began


def _verify(database: Database, audit: AuditLog, show: SHOW) -> dict[str, Any]:
    began = time.perf_counter()
    found: Verification = audit.verify(database)
    seconds = time.perf_counter() - began
    show("verifying", 1, 1, "")
    if not found.verified:
        raise BenchError(f"the log of {found.records} records does not verify: {found.problem}")
    began = time.perf_counter()
    _read_all(database)
    reading = time.perf_counter() - began
    return {
        "records": found.records,
        "seconds": round(seconds, 2),
        "records_per_s": round(found.records / seconds),
        "times_reading": round(seconds / reading, 1),
    }


def _fill(database: Database, audit: AuditLog, wanted: int, show: SHOW) -> float:
    """Fill the log up to so many records; return how many a second that were (0 where it had them)."""
    have, began, now = _count(database), time.perf_counter(), utc_now()
    missing = range(have, wanted, AT_ONCE)
    for place in missing:
        _append_many(database, audit, min(AT_ONCE, wanted - place), now)
        audit.sign(database, now)
        show("filling the log", min(place + AT_ONCE, wanted), wanted, "")
    return (wanted - have) / (time.perf_counter() - began) if missing else 0.0


def _append_many(database: Database, audit: AuditLog, count: int, now: datetime) -> None:
    with database.transaction() as session:
        lock_audit_log(session)
        audit.append(session, *(LogEntry("T1/U1", "bench.wrote", f"thing-{number}", now) for number in range(count)))


def _read_all(database: Database) -> None:
    """Read the log as verification has to, and do nothing with it."""
    with database.read() as session:
        for _ in read_audit_records(session):
            pass


def _count(database: Database) -> int:
    with database.read() as session:
        return next_sequence(session)
