"""The audit log: every kind of tampering, at every place of a small log, by somebody who owns the database."""

import base64
import json
import os
import random
import shutil
import stat
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
from sqlalchemy import text

from governance.audit import AuditLog, LogEntry, text_digest
from governance.errors import AuditLogError
from storage.audit import find_audit_record
from storage.database import Database
from storage.records import utc_now
from tests.governance.tampering import (
    SIZE,
    TAMPERINGS,
    Tampering,
    changed_at_random,
    consistent,
    edit_and_rehash,
    entry,
    first_bad,
    put_row,
    read_rows,
    replace_rows,
    write,
)


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "keys", tmp_path / "checkpoints")


def test_an_untouched_log_verifies(database: Database, log: AuditLog) -> None:
    write(log, database)
    found = log.verify(database)
    assert (found.verified, found.records, found.problem, found.first_bad) == (True, SIZE, "", None)


def test_an_empty_log_verifies(sqlite_database: Database, log: AuditLog) -> None:
    assert log.verify(sqlite_database).verified


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_at_every_place_is_found_and_its_place_named(
    database: Database, log: AuditLog, tampering: Tampering
) -> None:
    write(log, database)
    original = read_rows(database)
    for place in range(SIZE):
        replace_rows(database, tampering(list(original), place))
        found = log.verify(database)
        assert not found.verified, place
        assert found.first_bad == first_bad(tampering, place)
        assert f"record {found.first_bad}" in found.problem
    replace_rows(database, original)
    assert log.verify(database).verified


def test_a_record_added_by_hand_at_either_end_is_found(
    database: Database, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.audit.SIGNING_PATIENCE_S", 0.01)
    write(log, database)
    original = read_rows(database)
    replace_rows(database, [*original, consistent(SIZE, original[0][1], original[0][3])])
    found = log.verify(database)
    assert (found.verified, found.first_bad) == (False, SIZE)
    assert "not signed" in found.problem
    replace_rows(database, [consistent(-1, original[0][1], original[0][3]), *original])
    assert (log.verify(database).verified, log.verify(database).first_bad) == (False, 0)


def test_a_log_without_its_checkpoints_does_not_verify(
    sqlite_database: Database, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.audit.SIGNING_PATIENCE_S", 0.01)
    write(log, sqlite_database)
    for path in log.checkpoints.folder.iterdir():
        path.unlink()
    assert "checkpoints were removed" in log.verify(sqlite_database).problem


def test_a_removed_or_changed_checkpoint_is_found(sqlite_database: Database, log: AuditLog) -> None:
    write(log, sqlite_database)
    kept = log.checkpoint(sqlite_database, utc_now())
    latest = log.checkpoints.folder / "latest.json"
    original = latest.read_text()
    latest.unlink()
    assert "was removed" in log.verify(sqlite_database).problem
    for change in ({"size": SIZE - 1}, {"root": "00" * 32}, {"time": "2020-01-01T00:00:00.000000Z"}, {"signature": ""}):
        latest.write_text(json.dumps(json.loads(original) | change))
        found = log.verify(sqlite_database)
        assert not found.verified
        assert "not signed with the key" in found.problem
    latest.write_text("half a f")
    assert "not signed with the key" in log.verify(sqlite_database).problem
    latest.write_text(original)
    kept.write_text(original.replace('"size": 7', '"size": 6'))
    assert kept.name in log.verify(sqlite_database).problem


def test_two_checkpoints_that_were_exchanged_are_found(sqlite_database: Database, log: AuditLog) -> None:
    write(log, sqlite_database, 3)
    first = log.checkpoint(sqlite_database, utc_now())
    write(log, sqlite_database, 2)
    second = log.checkpoint(sqlite_database, utc_now())
    texts = first.read_text(), second.read_text()
    second.write_text(texts[0])
    assert "holds the checkpoint of 3 records" in log.verify(sqlite_database).problem
    first.write_text(texts[1])
    assert "it was exchanged" in log.verify(sqlite_database).problem


def test_every_byte_of_a_signature_counts(sqlite_database: Database, log: AuditLog) -> None:
    write(log, sqlite_database, 2)
    latest = log.checkpoints.folder / "latest.json"
    content = json.loads(latest.read_text())
    signature = base64.b64decode(content["signature"])
    for place in range(len(signature)):
        edited = bytes([*signature[:place], signature[place] ^ 1, *signature[place + 1 :]])
        latest.write_text(json.dumps(content | {"signature": base64.b64encode(edited).decode()}))
        assert "not signed with the key" in log.verify(sqlite_database).problem


def test_a_log_that_is_signed_anew_after_an_edit_contradicts_a_checkpoint_that_was_kept_elsewhere(
    sqlite_database: Database, log: AuditLog, tmp_path: Path
) -> None:
    """Somebody with the database, the folder and the key rewrites all three; an auditor holds an older checkpoint."""
    write(log, sqlite_database, 3)
    kept = tmp_path / "auditor.json"
    kept.write_bytes(log.checkpoint(sqlite_database, utc_now()).read_bytes())
    write(log, sqlite_database, SIZE - 3)
    replace_rows(sqlite_database, edit_and_rehash(read_rows(sqlite_database), 1))
    for path in log.checkpoints.folder.iterdir():
        path.unlink()
    AuditLog(log.key.folder, log.checkpoints.folder).sign(sqlite_database, utc_now())
    assert log.verify(sqlite_database).verified
    found = log.verify(sqlite_database, kept)
    assert (found.first_bad, found.problem) == (0, "one of records 0 to 2 is not the one that was signed.")
    replace_rows(sqlite_database, read_rows(sqlite_database)[:2])
    for path in log.checkpoints.folder.iterdir():
        path.unlink()
    AuditLog(log.key.folder, log.checkpoints.folder).sign(sqlite_database, utc_now())
    assert log.verify(sqlite_database, kept).first_bad == 2


@pytest.mark.parametrize("put_back", ["one_of_fewer_records", "none"])
def test_nothing_is_signed_over_a_folder_that_was_put_back(
    sqlite_database: Database, log: AuditLog, tmp_path: Path, put_back: str
) -> None:
    old = tmp_path / "old"
    write(log, sqlite_database, 3)
    shutil.copytree(log.checkpoints.folder, old)
    write(log, sqlite_database, 2)
    shutil.rmtree(log.checkpoints.folder)
    if put_back != "none":
        shutil.copytree(old, log.checkpoints.folder)
    with pytest.raises(AuditLogError, match="put back, or exchanged"):
        write(log, sqlite_database, 1)


def test_random_edits_of_a_large_log_are_all_found_and_placed(sqlite_database: Database, log: AuditLog) -> None:
    """Each edit changes one character of one column of one record; some mend the hash as well."""
    size, choose = 2_000, random.Random(0)
    with sqlite_database.transaction() as session:
        log.append(session, *map(entry, range(size)))
    log.checkpoint(sqlite_database, utc_now())
    original = read_rows(sqlite_database)
    replace_rows(sqlite_database, original)
    for _ in range(200):
        place = choose.randrange(size)
        row = changed_at_random(original[place], choose)
        put_row(sqlite_database, row)
        found = log.verify(sqlite_database)
        assert (found.verified, found.first_bad) == (False, place), (original[place], row)
        put_row(sqlite_database, original[place])
    assert log.verify(sqlite_database).verified


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_every_kind_of_tampering_with_a_large_log_is_found_and_placed(
    sqlite_database: Database, log: AuditLog, tampering: Tampering
) -> None:
    size, choose = 1_000, random.Random(tampering.__name__)
    with sqlite_database.transaction() as session:
        log.append(session, *map(entry, range(size)))
    log.checkpoint(sqlite_database, utc_now())
    original = read_rows(sqlite_database)
    for place in (0, *choose.sample(range(1, size - 2), 3)):
        replace_rows(sqlite_database, tampering(list(original), place))
        found = log.verify(sqlite_database)
        assert (found.verified, found.first_bad) == (False, place)


@pytest.mark.parametrize("value", ["x'ff00'", "cast(x'ff' as text)", "17"])
@pytest.mark.parametrize("column", ["body", "leaf_hash", "created_at"])
def test_what_is_no_record_at_all_is_found_and_its_place_named(
    sqlite_database: Database, log: AuditLog, column: str, value: str
) -> None:
    write(log, sqlite_database)
    replace_rows(sqlite_database, read_rows(sqlite_database))
    with sqlite_database.engine.begin() as connection:
        connection.execute(text(f"UPDATE audit_record SET {column} = {value} WHERE sequence = 4"))
    found = log.verify(sqlite_database)
    assert (found.verified, found.first_bad) == (False, 4)
    assert "record 4" in found.problem


def test_nothing_is_signed_over_a_truncated_log(sqlite_database: Database, log: AuditLog) -> None:
    write(log, sqlite_database)
    replace_rows(sqlite_database, read_rows(sqlite_database)[:4])
    with pytest.raises(AuditLogError, match="some were removed"):
        log.sign(sqlite_database, utc_now())


def test_a_key_of_another_installation_does_not_verify(
    sqlite_database: Database, log: AuditLog, tmp_path: Path
) -> None:
    write(log, sqlite_database)
    foreign = AuditLog(tmp_path / "other-keys", log.checkpoints.folder)
    assert "is missing" in foreign.verify(sqlite_database).problem
    foreign.key.private()
    assert "not signed with the key" in foreign.verify(sqlite_database).problem


def test_the_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    logs = [AuditLog(tmp_path / "keys", tmp_path / "checkpoints") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda log: log.key.private().private_bytes_raw(), logs))
    assert len(set(made)) == 1
    secret = tmp_path / "keys" / "audit_ed25519.pem"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    secret.chmod(0o644)
    with pytest.raises(AuditLogError, match="chmod 600"):
        logs[0].key.private()


def test_what_a_killed_process_left_unsigned_is_signed_with_the_next_record(
    sqlite_database: Database, log: AuditLog
) -> None:
    write(log, sqlite_database, 2)
    with (log.checkpoints.folder / "leaves.sha256").open("ab") as file:
        file.write(os.urandom(45))  # half of what it wanted to write
    with sqlite_database.transaction() as session:
        log.append(session, entry(0))
    log.sign(sqlite_database, utc_now())
    assert log.verify(sqlite_database).verified


def test_verifying_waits_for_a_writer_that_has_not_signed_yet(
    sqlite_database: Database, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.audit.SIGNING_PATIENCE_S", 20.0)
    write(log, sqlite_database, 2)
    with sqlite_database.transaction() as session:
        log.append(session, entry(0))
    with ThreadPoolExecutor(1) as pool:
        verifying = pool.submit(log.verify, sqlite_database)
        log.sign(sqlite_database, utc_now())
        assert verifying.result().verified


def test_a_change_that_is_rolled_back_leaves_no_record_and_no_gap(database: Database, log: AuditLog) -> None:
    write(log, database, 2)

    def change_and_lose_the_connection() -> None:
        with database.transaction() as session:
            log.append(session, entry(0))
            raise ConnectionError

    with pytest.raises(ConnectionError):
        change_and_lose_the_connection()
    write(log, database, 1)
    assert log.verify(database).records == 3


def test_writers_in_many_threads_leave_one_unbroken_log(database: Database, log: AuditLog) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(write, log, database, 5) for _ in range(8)]:
            done.result()
    assert [row[0] for row in read_rows(database)] == list(range(40))
    found = log.verify(database)
    assert (found.verified, found.records) == (True, 40)


def write_elsewhere(url: str, folder: str) -> None:
    """Write as another process of the same installation does."""
    write(AuditLog(Path(folder) / "keys", Path(folder) / "checkpoints"), Database(url), 5)


def test_writers_in_several_processes_leave_one_unbroken_log(database: Database, log: AuditLog, tmp_path: Path) -> None:
    url = database.url.render_as_string(hide_password=False)
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        for done in [pool.submit(write_elsewhere, url, str(tmp_path)) for _ in range(6)]:
            done.result()
    assert [row[0] for row in read_rows(database)] == list(range(30))
    found = log.verify(database)
    assert (found.verified, found.records) == (True, 30)


def test_a_record_is_canonical_json_and_keeps_only_the_digest_of_a_reason(
    sqlite_database: Database, log: AuditLog
) -> None:
    now = utc_now() - timedelta(days=1)
    with sqlite_database.transaction() as session:
        said = LogEntry("T1/U1", "decision.reject", "prop_1", now, {"report": "r", "adapter": "a"}, "Ünlucky")
        log.append(session, said)
        record = find_audit_record(session, 0)
    assert record is not None
    assert record.body == json.dumps(json.loads(record.body), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert json.loads(record.body) == {
        "action": "decision.reject",
        "actor": "T1/U1",
        "digests": {"adapter": "a", "report": "r"},
        "object": "prop_1",
        "reason_sha256": text_digest("Ünlucky"),
        "sequence": 0,
        "time": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
