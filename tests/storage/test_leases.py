"""Leases: one holder at a time, whoever asks first."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from storage import leases
from storage.database import Database
from storage.errors import AlreadyRunningError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LENGTH = timedelta(seconds=30)


def acquire(database: Database, holder: str, now: datetime = NOW) -> None:
    with database.transaction() as session:
        leases.acquire(session, "bot", holder, f"process {holder}", now=now, length=LENGTH)


def test_a_second_holder_is_refused_and_told_who_holds_it_and_for_how_long(database: Database) -> None:
    acquire(database, "1")
    with pytest.raises(AlreadyRunningError, match=r"process 1\).*in 21 s"):
        acquire(database, "2", NOW + timedelta(seconds=10))


def test_the_holder_renews_and_then_keeps_it_longer(database: Database) -> None:
    acquire(database, "1")
    acquire(database, "1", NOW + timedelta(seconds=20))
    with pytest.raises(AlreadyRunningError):
        acquire(database, "2", NOW + timedelta(seconds=40))


def test_a_lease_that_ran_out_is_free(database: Database) -> None:
    acquire(database, "1")
    acquire(database, "2", NOW + LENGTH)
    with pytest.raises(AlreadyRunningError, match="process 2"):
        acquire(database, "1", NOW + LENGTH)


def test_only_the_holder_releases(database: Database) -> None:
    acquire(database, "1")
    with database.transaction() as session:
        leases.release(session, "bot", "2")
    with pytest.raises(AlreadyRunningError):
        acquire(database, "2")
    with database.transaction() as session:
        leases.release(session, "bot", "1")
    acquire(database, "2")


def test_of_many_that_ask_at_once_exactly_one_gets_it(database: Database) -> None:
    def ask(number: int) -> bool:
        try:
            acquire(database, str(number))
        except AlreadyRunningError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(8))) == [False] * 7 + [True]
