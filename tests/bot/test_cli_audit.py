"""The audit log's commands as an auditor and an operator use them."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.database import Database
from tests.bot.commands import CommandLine
from tests.governance.installation import Installation

DIGEST = "a1b2" + "0" * 60


@pytest.fixture
def house(apprentice: CommandLine, sqlite_database: Database) -> Installation:
    """The installation that the command line acts on, with its people."""
    return Installation(sqlite_database, apprentice.folder / "data")


@pytest.fixture
def written(apprentice: CommandLine, house: Installation) -> CommandLine:
    """A command line on an installation in which an adapter was proposed."""
    house.proposed(DIGEST)
    return apprentice


def tamper(house: Installation, sequence: int) -> None:
    with house.database.engine.begin() as connection:
        for name in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        change = text("UPDATE audit_record SET body = replace(body, 'system', 'nobody') WHERE sequence = :s")
        connection.execute(change, {"s": sequence})


def checked(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "check_audit_log.py", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_an_export_holds_the_script_that_checks_it_and_proofs(written: CommandLine, house: Installation) -> None:
    count = len(house.log())
    told = written("audit", "export", "log.zip")
    assert (told.status, f"Wrote {count} records to log.zip" in told.out) == (0, True)
    with zipfile.ZipFile(written.folder / "log.zip") as archive:
        archive.extract("check_audit_log.py", written.folder)
        assert archive.read("records.jsonl").decode().splitlines() == house.log()
    assert f"Verified: {count} records" in checked(written.folder, "log.zip")
    assert written("audit", "prove", "1", "--out", "proof.json").status == 0
    assert f"record 1 is in the log of {count} records" in checked(written.folder, "proof.json")
    assert json.loads(written("audit", "prove", "1").out)["sequence"] == 1


def test_that_the_log_only_grew_since_a_checkpoint_is_proved(written: CommandLine, house: Installation) -> None:
    latest = written.folder / "data" / "checkpoints" / "latest.json"
    kept = written.file("kept.json", latest.read_bytes())
    count = len(house.log())
    house.proposed("b" * 64)
    written("audit", "export", "log.zip")
    with zipfile.ZipFile(written.folder / "log.zip") as archive:
        archive.extract("check_audit_log.py", written.folder)
    assert written("audit", "prove", "--since", kept, "--out", "grew.json").status == 0
    assert f"begins with that of {count}, unchanged" in checked(written.folder, "grew.json")
    assert written("audit", "verify", "--checkpoint", kept).status == 0


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("prove",), 2, "give either a record's place or --since"),
        (("prove", "1", "--since", "x"), 2, "not both"),
        (("prove", "4000"), 1, "record 4000 is not among the"),
        (("prove", "--since", "nowhere.json"), 1, "nowhere.json"),
        (("verify", "--checkpoint", "nowhere.json"), 1, "nowhere.json"),
        (("export", "nowhere/log.zip"), 1, "nowhere"),
    ],
)
def test_what_cannot_be_done_is_said(written: CommandLine, arguments: tuple[str, ...], status: int, says: str) -> None:
    result = written("audit", *arguments)
    assert (result.status, says in result.said) == (status, True), result.said


def test_an_empty_log_has_nothing_to_export(apprentice: CommandLine) -> None:
    assert "nothing to export" in apprentice("audit", "export", "log.zip").said


def test_watching_shows_what_is_new_since_the_last_time(written: CommandLine, house: Installation) -> None:
    look = ("audit", "watch", "--once", "--state", "seen.json")
    assert (first := written(*look)).status == 0
    assert first.out == ""
    before = len(house.log())
    house.proposed("b" * 64)
    told = written(*look)
    assert told.status == 0
    assert f"{before}  " in told.out
    assert "adapter.proposed" in told.out
    assert f"The log of {len(house.log())} records begins with that of {before}, unchanged." in told.out
    house.proposed("c" * 64)
    shown = written(*look, "--json").out.splitlines()
    assert shown == house.log()[-len(shown) :]


def test_watching_raises_an_alarm_with_a_status_of_its_own(written: CommandLine, house: Installation) -> None:
    tamper(house, 2)
    told = written("audit", "watch", "--once")
    assert (told.status, "ALARM: record 2 was edited" in told.said) == (3, True)
    assert "record 2 was edited" in written("audit", "watch", "--once", "--json").json["alarm"]


def test_watching_a_log_that_was_put_back_raises_an_alarm(written: CommandLine, house: Installation) -> None:
    """The database and the folder are those of before; both are whole, and only what was seen since shows it."""
    latest = written.folder / "data" / "checkpoints" / "latest.json"
    before, old = len(house.log()), latest.read_bytes()
    house.proposed("b" * 64)
    assert written("audit", "watch", "--once", "--state", "seen.json").status == 0
    tamper(house, -1)
    with house.database.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_record WHERE sequence >= :before"), {"before": before})
    latest.write_bytes(old)
    assert written("audit", "verify").status == 0
    told = written("audit", "watch", "--once", "--state", "seen.json")
    assert (told.status, f"record {before} and later ones were removed" in told.said) == (3, True)
