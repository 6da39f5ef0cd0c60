"""The audit log: every kind of tampering, at every place of a small log, by somebody who owns the database."""

import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from governance.audit import AuditLog, text_digest
from governance.errors import AuditLogError
from governance.merkle import leaf_hash, root_from_proof
from storage.database import Database
from storage.records import utc_now

SIZE = 7
Row = tuple[int, str, str, object]


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "keys", tmp_path / "checkpoints")


def write(log: AuditLog, database: Database, count: int = SIZE) -> None:
    for number in range(count):
        with database.transaction() as session:
            log.append(session, actor="T1/U1", action="test.wrote", object_id=f"thing-{number}", now=utc_now())
        log.sign(database, utc_now())


def read_rows(database: Database) -> list[Row]:
    with database.engine.connect() as connection:
        query = "SELECT sequence, body, leaf_hash, created_at FROM audit_record ORDER BY sequence"
        return [tuple(row) for row in connection.execute(text(query))]


def replace_rows(database: Database, rows: list[Row]) -> None:
    """Do what an owner of the database can: switch the triggers off, and write whatever they like."""
    with database.engine.begin() as connection:
        _disable_triggers(connection)
        connection.execute(text("DELETE FROM audit_record"))
        for row in rows:
            values = dict(zip("sblc", row, strict=True))
            connection.execute(text("INSERT INTO audit_record VALUES (:s, :b, :l, :c)"), values)


def _disable_triggers(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("ALTER TABLE audit_record DISABLE TRIGGER ALL"))
        return
    names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all()
    for name in names:
        connection.execute(text(f"DROP TRIGGER {name}"))


def consistent(sequence: int, body: str, created_at: object, **changes: object) -> Row:
    """A forged row that contradicts itself nowhere: its body names its place, and its hash is that of its body."""
    content = json.loads(body) | {"sequence": sequence} | changes
    forged = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return sequence, forged, leaf_hash(forged.encode()).hex(), created_at


def renumbered(rows: list[Row]) -> list[Row]:
    return [consistent(place, row[1], row[3]) for place, row in enumerate(rows)]


def edit(rows: list[Row], at: int) -> list[Row]:
    rows[at] = (at, rows[at][1].replace("thing-", "other-"), *rows[at][2:])
    return rows


def edit_and_rehash(rows: list[Row], at: int) -> list[Row]:
    rows[at] = consistent(at, rows[at][1], rows[at][3], actor="T1/SOMEBODY_ELSE")
    return rows


def edit_hash(rows: list[Row], at: int) -> list[Row]:
    rows[at] = (*rows[at][:2], "00" * 32, rows[at][3])
    return rows


def edit_time(rows: list[Row], at: int) -> list[Row]:
    rows[at] = (*rows[at][:3], "2020-01-01 00:00:00.000000")
    return rows


def edit_to_nonsense(rows: list[Row], at: int) -> list[Row]:
    rows[at] = (at, "no JSON", leaf_hash(b"no JSON").hex(), rows[at][3])
    return rows


def remove(rows: list[Row], at: int) -> list[Row]:
    return rows[:at] + rows[at + 1 :]


def remove_and_renumber(rows: list[Row], at: int) -> list[Row]:
    return renumbered(remove(rows, at))


def insert_and_renumber(rows: list[Row], at: int) -> list[Row]:
    extra = consistent(at, rows[at][1], rows[at][3], object="planted")
    return renumbered([*rows[:at], extra, *rows[at:]])


def swap(rows: list[Row], at: int) -> list[Row]:
    """Move a record's content to the next place (the last one's to the place before it)."""
    low = min(at, SIZE - 2)
    first, second = rows[low], rows[low + 1]
    rows[low], rows[low + 1] = (low, *second[1:]), (low + 1, *first[1:])
    return rows


def swap_and_renumber(rows: list[Row], at: int) -> list[Row]:
    return renumbered(swap(rows, at))


def truncate(rows: list[Row], at: int) -> list[Row]:
    return rows[:at]


TAMPERINGS: list[Callable[[list[Row], int], list[Row]]] = [
    edit,
    edit_and_rehash,
    edit_hash,
    edit_time,
    edit_to_nonsense,
    remove,
    remove_and_renumber,
    insert_and_renumber,
    swap,
    swap_and_renumber,
    truncate,
]


def test_an_untouched_log_verifies(database: Database, log: AuditLog) -> None:
    write(log, database)
    found = log.verify(database)
    assert (found.verified, found.records, found.problem, found.first_bad) == (True, SIZE, "", None)


def test_an_empty_log_verifies(sqlite_database: Database, log: AuditLog) -> None:
    assert log.verify(sqlite_database).verified


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_at_every_place_is_found_and_its_place_named(
    database: Database, log: AuditLog, tampering: Callable[[list[Row], int], list[Row]]
) -> None:
    write(log, database)
    original = read_rows(database)
    for place in range(SIZE):
        replace_rows(database, tampering(list(original), place))
        found = log.verify(database)
        assert not found.verified, place
        assert found.first_bad == (min(place, SIZE - 2) if "swap" in tampering.__name__ else place)
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


def test_an_older_checkpoint_put_in_the_place_of_the_newest_hides_no_truncation(
    sqlite_database: Database, log: AuditLog
) -> None:
    write(log, sqlite_database, 3)
    older = (log.checkpoints.folder / "latest.json").read_text()
    write(log, sqlite_database, SIZE - 3)
    log.checkpoint(sqlite_database, utc_now())
    (log.checkpoints.folder / "latest.json").write_text(older)
    replace_rows(sqlite_database, read_rows(sqlite_database)[:3])
    assert log.verify(sqlite_database).first_bad == 3


def test_without_the_leaf_hashes_an_edit_is_still_found_and_placed_between_checkpoints(
    sqlite_database: Database, log: AuditLog
) -> None:
    write(log, sqlite_database, 3)
    log.checkpoint(sqlite_database, utc_now())
    write(log, sqlite_database, SIZE - 3)
    (log.checkpoints.folder / "leaves.sha256").unlink()
    found = log.verify(sqlite_database)
    assert not found.verified
    assert "the records match" in found.problem
    replace_rows(sqlite_database, edit_and_rehash(read_rows(sqlite_database), 5))
    found = log.verify(sqlite_database)
    assert (found.first_bad, found.problem) == (3, "one of records 3 to 6 is not the one that was signed.")


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
        log.append(session, actor="T1/U1", action="test.wrote", object_id="thing", now=utc_now())
    log.sign(sqlite_database, utc_now())
    assert log.verify(sqlite_database).verified


def test_verifying_waits_for_a_writer_that_has_not_signed_yet(
    sqlite_database: Database, log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("governance.audit.SIGNING_PATIENCE_S", 20.0)
    write(log, sqlite_database, 2)
    with sqlite_database.transaction() as session:
        log.append(session, actor="T1/U1", action="test.wrote", object_id="late", now=utc_now())
    with ThreadPoolExecutor(1) as pool:
        verifying = pool.submit(log.verify, sqlite_database)
        log.sign(sqlite_database, utc_now())
        assert verifying.result().verified


def test_a_change_that_is_rolled_back_leaves_no_record_and_no_gap(database: Database, log: AuditLog) -> None:
    write(log, database, 2)

    def change_and_lose_the_connection() -> None:
        with database.transaction() as session:
            log.append(session, actor="T1/U1", action="test.wrote", object_id="never", now=utc_now())
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


def test_every_record_has_an_inclusion_proof_that_leads_to_the_signed_root(database: Database, log: AuditLog) -> None:
    write(log, database)
    for place in range(SIZE):
        proof = log.prove(database, place)
        path = [bytes.fromhex(node) for node in proof.path]
        root = root_from_proof(place, proof.checkpoint.size, leaf_hash(proof.body.encode()), path)
        assert root.hex() == proof.checkpoint.root
    with pytest.raises(AuditLogError, match="not among the 7"):
        log.prove(database, SIZE)


def test_a_record_is_canonical_json_and_keeps_only_the_digest_of_a_reason(
    sqlite_database: Database, log: AuditLog
) -> None:
    now = utc_now() - timedelta(days=1)
    with sqlite_database.transaction() as session:
        record = log.append(
            session,
            actor="T1/U1",
            action="decision.reject",
            object_id="prop_1",
            digests={"report": "r", "adapter": "a"},
            reason="Ünlucky",
            now=now,
        )
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
