"""Transactions: who writes at the same time."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import event

from storage import inbox
from storage.database import Database
from storage.inbox import Arrival
from storage.records import utc_now


def test_the_writers_of_one_process_take_turns_instead_of_finding_the_file_locked(sqlite_database: Database) -> None:
    def never_wait(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA busy_timeout=0")

    event.listen(sqlite_database.engine, "connect", never_wait)

    def store(number: int) -> set[str]:
        with sqlite_database.transaction() as session:
            return inbox.receive(session, [Arrival(str(number), "message", "", {}, utc_now())])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(store, range(60))) == [{str(number)} for number in range(60)]
