"""Exports and proofs, checked as an auditor does: with the script from the export, without Apprentice."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from governance.audit import AuditLog
from governance.audit_export import CHECKER, export_log
from governance.audit_proofs import as_json, prove_consistency, prove_inclusion
from governance.checkpoints import PUBLIC_KEY, Checkpoint
from governance.errors import AuditLogError
from governance.merkle import leaf_hash
from storage.database import Database
from storage.records import utc_now
from tests.governance.tampering import (
    SIZE,
    TAMPERINGS,
    Tampering,
    edit_and_rehash,
    first_bad,
    read_rows,
    remove,
    replace_rows,
    write,
)

LIMIT = 150
ISOLATED = (
    "import sys, runpy; sys.path = [p for p in sys.path if p]; "
    "sys.modules.update(dict.fromkeys(('bot', 'learning', 'governance', 'storage'))); "
)


class Auditor:
    """Somebody with a folder, Python and `cryptography`, who was handed the public key."""

    def __init__(self, folder: Path, log: AuditLog) -> None:
        self.folder = folder
        self.folder.mkdir()
        self.key = folder / "key.pem"
        self.key.write_text(log.key.public_pem())

    def takes_script_from(self, export: Path) -> None:
        with zipfile.ZipFile(export) as archive:
            archive.extract(CHECKER, self.folder)

    def checks(self, file: Path, *arguments: str | Path) -> tuple[int, str]:
        """Run the script in this folder; the product cannot be imported there."""
        program = ISOLATED + "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
        command = [sys.executable, "-c", program, CHECKER, file, *(arguments or ("--key", self.key))]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def reads(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.write_text(json.dumps(content))
        return path


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "keys", tmp_path / "checkpoints")


@pytest.fixture
def export(sqlite_database: Database, log: AuditLog, tmp_path: Path) -> Path:
    """An export of seven records, of which a checkpoint was kept after three."""
    write(log, sqlite_database, 3)
    log.checkpoint(sqlite_database, utc_now())
    write(log, sqlite_database, SIZE - 3)
    export_log(log, sqlite_database, tmp_path / "export.zip")
    return tmp_path / "export.zip"


@pytest.fixture
def auditor(export: Path, log: AuditLog, tmp_path: Path) -> Auditor:
    auditor = Auditor(tmp_path / "auditor", log)
    auditor.takes_script_from(export)
    return auditor


def test_the_script_is_short_and_needs_nothing_but_python_and_cryptography(export: Path) -> None:
    with zipfile.ZipFile(export) as archive:
        text = archive.read(CHECKER).decode()
    assert len(text.splitlines()) < LIMIT
    lines = [line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))]
    assert set(lines) - set(sys.stdlib_module_names) == {"cryptography"}


def test_an_export_is_verified_without_the_product(auditor: Auditor, export: Path, log: AuditLog) -> None:
    newest = log.checkpoints.latest()
    assert newest is not None
    status, said = auditor.checks(export)
    assert (status, f"7 records, as they were signed, with Merkle root {newest.root}" in said) == (0, True)
    assert f"The key is {newest.key}, the one given." in said
    assert (
        "compare it with the one that you were given"
        in auditor.checks(export, "--checkpoint", auditor.reads("c", asdict(newest)))[1]
    )


@pytest.mark.parametrize("tampering", TAMPERINGS[4:])
def test_an_export_of_a_log_that_was_tampered_with_is_not_verified(
    sqlite_database: Database,
    log: AuditLog,
    auditor: Auditor,
    export: Path,
    tampering: Tampering,
) -> None:
    original = read_rows(sqlite_database)
    for place in (0, 3, SIZE - 1):
        replace_rows(sqlite_database, tampering(list(original), place))
        export_log(log, sqlite_database, export)
        status, said = auditor.checks(export)
        assert (status, "NOT VERIFIED" in said) == (1, True), said
        assert f"record {first_bad(tampering, place)} " in said


def rewritten(export: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Change one file in an export."""
    with zipfile.ZipFile(export) as archive:
        contents = {each: archive.read(each) for each in archive.namelist()}
    contents[name] = change(contents[name])
    with zipfile.ZipFile(export, "w") as archive:
        for each, content in contents.items():
            archive.writestr(each, content)


def forged(records: bytes) -> bytes:
    return records.replace(b"thing-3", b"other-3")


EXPORT_CHANGES: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "a record": ("records.jsonl", forged, "record 6 is not the one"),
    "the order": ("records.jsonl", lambda lines: b"".join(reversed(lines.splitlines(True))), "record 0 is not the one"),
    "the last record": (
        "records.jsonl",
        lambda lines: b"".join(lines.splitlines(True)[:-1]),
        "7 were signed: record 6 is wrong",
    ),
    "one record more": ("records.jsonl", lambda lines: lines + lines.splitlines(True)[0], "record 7 is not the one"),
    "a leaf hash": ("leaves.sha256", lambda data: data[:-1] + b"?", "record 6 is not the one"),
    "a root": (
        "checkpoints.jsonl",
        lambda text: text.replace(b'"root": "', b'"root": "0', 1),
        "not signed with this key",
    ),
    "a size": ("checkpoints.jsonl", lambda text: text.replace(b'"size": 7', b'"size": 8'), "not signed with this key"),
    "the newest checkpoint": ("checkpoints.jsonl", lambda text: text.splitlines(True)[0], "NOT VERIFIED"),
    "no checkpoint": ("checkpoints.jsonl", lambda _: b"", "NOT VERIFIED"),
    "no JSON": ("checkpoints.jsonl", lambda _: b"nonsense", "NOT VERIFIED"),
}


@pytest.mark.parametrize("changed", EXPORT_CHANGES)
def test_an_export_that_was_changed_on_its_way_is_not_verified(auditor: Auditor, export: Path, changed: str) -> None:
    name, change, says = EXPORT_CHANGES[changed]
    rewritten(export, name, change)
    status, said = auditor.checks(export)
    assert (status, says in said) == (1, True), said


def test_a_record_that_was_changed_with_its_leaf_hash_is_found_between_two_checkpoints(
    auditor: Auditor, export: Path
) -> None:
    rewritten(export, "records.jsonl", forged)
    with zipfile.ZipFile(export) as archive:
        lines = archive.read("records.jsonl").splitlines()
    rewritten(export, "leaves.sha256", lambda _: b"".join(map(leaf_hash, lines)))
    assert "one of records 3 to 6 is not the one that was signed" in auditor.checks(export)[1]


def test_an_export_signed_with_another_key_is_found_by_who_was_handed_the_key(
    auditor: Auditor, sqlite_database: Database, tmp_path: Path
) -> None:
    foreign = AuditLog(tmp_path / "other-keys", tmp_path / "other-checkpoints")
    foreign.sign(sqlite_database, utc_now())
    export_log(foreign, sqlite_database, tmp_path / "foreign.zip")
    assert auditor.checks(tmp_path / "foreign.zip", "--checkpoint", auditor.key)[0] == 1
    status, said = auditor.checks(tmp_path / "foreign.zip")
    assert (status, "not signed with this key" in said) == (1, True)


def test_a_log_rewritten_and_signed_anew_is_found_by_who_kept_a_checkpoint(
    auditor: Auditor, export: Path, log: AuditLog, sqlite_database: Database
) -> None:
    kept = next(log.checkpoints.folder.glob("checkpoint-*.json"))
    mine = auditor.reads("kept.json", json.loads(kept.read_text()))
    assert auditor.checks(export, "--key", auditor.key, "--checkpoint", mine)[0] == 0
    replace_rows(sqlite_database, edit_and_rehash(read_rows(sqlite_database), 1))
    anew = sign_anew(log, sqlite_database)
    export_log(anew, sqlite_database, export)
    assert auditor.checks(export)[0] == 0
    status, said = auditor.checks(export, "--key", auditor.key, "--checkpoint", mine)
    assert (status, "one of records 0 to 2 is not the one" in said) == (1, True)


def sign_anew(log: AuditLog, database: Database) -> AuditLog:
    """Do what an owner of everything can: throw the checkpoints away, and sign what is there now."""
    for path in log.checkpoints.folder.iterdir():
        path.unlink()
    anew = AuditLog(log.key.folder, log.checkpoints.folder)
    anew.sign(database, utc_now())
    return anew


def test_the_proof_of_every_record_holds_and_of_any_other_text_does_not(
    sqlite_database: Database, log: AuditLog, auditor: Auditor, export: Path
) -> None:
    for place in range(SIZE):
        proof = as_json(prove_inclusion(log, sqlite_database, place))
        status, said = auditor.checks(auditor.reads("proof.json", proof))
        assert (status, f"record {place} is in the log of 7 records" in said) == (0, True), said
    with pytest.raises(AuditLogError, match="not among the 7"):
        prove_inclusion(log, sqlite_database, SIZE)
    changes: list[dict[str, Any]] = [
        {"body": proof["body"].replace("thing", "other")},
        {"sequence": 5},
        {"path": proof["path"][:-1]},
        {"path": [*proof["path"], "00" * 32]},
        {"path": ["00" * 32, *proof["path"][1:]]},
        {"checkpoint": proof["checkpoint"] | {"root": "00" * 32}},
    ]
    for change in changes:
        status, said = auditor.checks(auditor.reads("proof.json", proof | change))
        assert (status, "NOT VERIFIED" in said) == (1, True), change


def checkpoints_of_every_size(log: AuditLog, database: Database) -> list[Checkpoint]:
    checkpoints = []
    for _ in range(SIZE):
        write(log, database, 1)
        newest = log.checkpoints.latest()
        assert newest is not None
        checkpoints.append(newest)
    return checkpoints


def test_that_the_log_only_grew_is_proved_from_every_older_checkpoint(
    sqlite_database: Database, log: AuditLog, tmp_path: Path
) -> None:
    checkpoints = checkpoints_of_every_size(log, sqlite_database)
    export_log(log, sqlite_database, tmp_path / "export.zip")
    auditor = Auditor(tmp_path / "auditor", log)
    auditor.takes_script_from(tmp_path / "export.zip")
    for older in checkpoints:
        proof = as_json(prove_consistency(log, older))
        status, said = auditor.checks(auditor.reads("proof.json", proof))
        assert (status, f"the log of 7 records begins with that of {older.size}, unchanged" in said) == (0, True), said
        for place in range(len(proof["path"])):
            nodes = [*proof["path"][:place], "00" * 32, *proof["path"][place + 1 :]]
            assert auditor.checks(auditor.reads("proof.json", proof | {"path": nodes}))[0] == 1
    assert (
        auditor.checks(auditor.reads("proof.json", proof | {"older": proof["newer"], "newer": asdict(checkpoints[0])}))[
            0
        ]
        == 1
    )


def test_of_a_log_rewritten_and_signed_anew_nothing_leads_to_an_older_checkpoint(
    sqlite_database: Database, log: AuditLog
) -> None:
    older = checkpoints_of_every_size(log, sqlite_database)[4]
    original = read_rows(sqlite_database)
    replace_rows(sqlite_database, edit_and_rehash(list(original), 2))
    with pytest.raises(AuditLogError, match="does not begin with that of 5"):
        prove_consistency(sign_anew(log, sqlite_database), older)
    replace_rows(sqlite_database, original[:4])
    with pytest.raises(AuditLogError, match="4 records are signed, and the checkpoint has 5"):
        prove_consistency(sign_anew(log, sqlite_database), older)


def test_nothing_is_proved_of_a_record_that_was_edited_or_removed(sqlite_database: Database, log: AuditLog) -> None:
    write(log, sqlite_database)
    original = read_rows(sqlite_database)
    replace_rows(sqlite_database, edit_and_rehash(list(original), 2))
    with pytest.raises(AuditLogError, match="record 2 is not the one that was signed"):
        prove_inclusion(log, sqlite_database, 2)
    replace_rows(sqlite_database, remove(list(original), 2))
    with pytest.raises(AuditLogError, match="record 2 was removed"):
        prove_inclusion(log, sqlite_database, 2)


def test_an_export_that_fails_leaves_the_one_before_it(sqlite_database: Database, log: AuditLog, export: Path) -> None:
    before = export.read_bytes()
    (log.key.folder / PUBLIC_KEY).unlink()
    with pytest.raises(AuditLogError, match="is missing"):
        export_log(log, sqlite_database, export)
    assert export.read_bytes() == before
    assert [path.name for path in export.parent.glob(".*")] == []
