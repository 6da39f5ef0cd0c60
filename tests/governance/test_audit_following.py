"""Following the log: what is new is given once, and whatever was tampered with since the last look is an alarm."""

import shutil
from pathlib import Path

import pytest

from governance.audit import AuditLog
from governance.audit_following import LogFollower
from governance.errors import AuditLogError
from storage.database import Database
from storage.records import utc_now
from tests.governance.tampering import (
    SIZE,
    TAMPERINGS,
    Tampering,
    edit_and_rehash,
    entry,
    first_bad,
    read_rows,
    replace_rows,
    write,
)


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "keys", tmp_path / "checkpoints")


def follow(log: AuditLog, database: Database, state: Path | None = None) -> LogFollower:
    follower = LogFollower(log, database, state)
    follower.verify()
    return follower


def sequences(follower: LogFollower) -> list[int]:
    return [record.sequence for record in follower.step()]


def test_each_new_record_is_given_once_from_an_empty_log_on(database: Database, log: AuditLog) -> None:
    follower = follow(log, database)
    assert sequences(follower) == []
    write(log, database, 3)
    assert sequences(follower) == [0, 1, 2]
    assert sequences(follower) == []
    write(log, database, 2)
    assert sequences(follower) == [3, 4]


def test_a_follower_that_starts_again_goes_on_where_it_was(
    sqlite_database: Database, log: AuditLog, tmp_path: Path
) -> None:
    write(log, sqlite_database, 3)
    assert sequences(follow(log, sqlite_database, tmp_path / "seen.json")) == []
    write(log, sqlite_database, 2)
    assert sequences(follow(log, sqlite_database, tmp_path / "seen.json")) == [3, 4]
    assert sequences(follow(log, sqlite_database, tmp_path / "seen.json")) == []


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_with_any_record_that_is_new_is_an_alarm_that_names_it(
    sqlite_database: Database, log: AuditLog, tampering: Tampering
) -> None:
    write(log, sqlite_database, 2)
    follower = follow(log, sqlite_database)
    write(log, sqlite_database, SIZE - 2)
    original = read_rows(sqlite_database)
    for place in range(2, SIZE):
        replace_rows(sqlite_database, tampering(list(original), place))
        with pytest.raises(AuditLogError, match=f"record {first_bad(tampering, place)} "):
            follower.step()
    replace_rows(sqlite_database, original)
    assert sequences(follower) == [2, 3, 4, 5, 6]


def test_what_was_seen_before_is_verified_again_whole(sqlite_database: Database, log: AuditLog) -> None:
    write(log, sqlite_database)
    follower = follow(log, sqlite_database)
    replace_rows(sqlite_database, edit_and_rehash(read_rows(sqlite_database), 1))
    with pytest.raises(AuditLogError, match="record 1 is not the one"):
        follower.verify()


@pytest.mark.parametrize(
    ("added", "running", "anew"),
    [
        (0, "record 3 is the first that is missing", "record 3 and later ones were removed"),
        (1, "record 4 is the first that is missing", "record 4 and later ones were removed"),
        (2, "does not begin with that of 5", "the log was rewritten"),
        (5, "does not begin with that of 5", "one of records 0 to 4 is not the one that was signed"),
    ],
)
def test_a_log_put_back_with_its_folder_and_signed_on_is_an_alarm(
    sqlite_database: Database, log: AuditLog, tmp_path: Path, added: int, running: str, anew: str
) -> None:
    """Two records are taken away and others signed in their place, with the right key: only a memory shows it."""
    write(log, sqlite_database, 3)
    shutil.copytree(log.checkpoints.folder, tmp_path / "old")
    write(log, sqlite_database, 2)
    follower = follow(log, sqlite_database, tmp_path / "seen.json")
    replace_rows(sqlite_database, read_rows(sqlite_database)[:3])
    shutil.rmtree(log.checkpoints.folder)
    shutil.copytree(tmp_path / "old", log.checkpoints.folder)
    write(AuditLog(log.key.folder, log.checkpoints.folder), sqlite_database, added)
    assert log.verify(sqlite_database).verified
    with pytest.raises(AuditLogError, match=running):
        follower.step()
    with pytest.raises(AuditLogError, match=anew):
        follow(log, sqlite_database, tmp_path / "seen.json")


def test_a_state_that_was_changed_is_an_alarm(sqlite_database: Database, log: AuditLog, tmp_path: Path) -> None:
    write(log, sqlite_database)
    state = tmp_path / "seen.json"
    follow(log, sqlite_database, state)
    state.write_text(state.read_text().replace('"size": 7', '"size": 6'))
    with pytest.raises(AuditLogError, match="not signed with the key"):
        follow(log, sqlite_database, state)


def test_removed_checkpoints_are_an_alarm(sqlite_database: Database, log: AuditLog) -> None:
    write(log, sqlite_database)
    follower = follow(log, sqlite_database)
    shutil.rmtree(log.checkpoints.folder)
    with pytest.raises(AuditLogError, match="0 records are signed, but 7 were before"):
        follower.step()


def test_a_record_that_is_not_signed_yet_is_given_once_it_is(sqlite_database: Database, log: AuditLog) -> None:
    follower = follow(log, sqlite_database)
    with sqlite_database.transaction() as session:
        log.append(session, entry(0))
    assert sequences(follower) == []
    log.sign(sqlite_database, utc_now())
    assert sequences(follower) == [0]
