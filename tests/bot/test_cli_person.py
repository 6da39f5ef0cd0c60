"""`apprentice person` and `apprentice bench privacy`, as they are typed."""

import json

import pytest

from storage.database import Database
from storage.records import utc_now
from tests.bot.commands import CommandLine
from tests.governance.installation import EXPERT, Clock, Installation
from tests.governance.test_screening import everything, say
from tests.learning.test_erasure import SECRET, answered


@pytest.fixture
def house(apprentice: CommandLine, sqlite_database: Database) -> Installation:
    """The installation that the command line acts on, with its people."""
    return Installation(sqlite_database, apprentice.folder / "data", Clock(utc_now()))


def test_a_person_gets_all_that_is_kept_about_them(apprentice: CommandLine, house: Installation) -> None:
    say(house, f"The key is {SECRET}.", EXPERT, question="Where is the key?")
    say(house, "In hall Oak.", question="Where is the kiln?", person="T1/U_OTHER")
    answered(house, EXPERT, "Who fires the kiln?", "Nobody.")

    result = apprentice("person", "export", "U_EXPERT", "expert.json", "--json")

    assert result.json == {
        "questions": 1, "feedback": 1, "decisions": 0, "policies": 0, "delegations": 0, "break_glass": 0, "reviews": 0,
        "runs": 0, "mail": 0, "adapters": 0, "user_groups": 0,
    }  # fmt: skip
    content = json.loads((apprentice.folder / "expert.json").read_text())
    assert [row["text"] for row in content["feedback"]] == [f"The key is {SECRET}."]
    assert [row["question"] for row in content["questions"]] == ["Who fires the kiln?"]
    assert "Oak" not in str(content)


def test_a_person_is_erased_only_when_that_is_said_and_the_log_still_verifies(
    apprentice: CommandLine, house: Installation
) -> None:
    say(house, f"The key is {SECRET}.", EXPERT, question="Where is the key?")

    refused = apprentice("person", "erase", "U_EXPERT", "--as", "U_APPROVER")
    assert refused.status != 0
    assert "nothing was erased" in refused.said
    assert SECRET in everything(house.database)

    done = apprentice("person", "erase", "U_EXPERT", "--as", "U_APPROVER", "--yes")
    assert "Erased of T1/U_EXPERT: 1 votes and corrections, 0 questions." in done.out
    assert "No adapter learned from them." in done.out
    assert SECRET not in everything(house.database)
    assert apprentice("audit", "verify", "--json").json["verified"]


def test_whoever_imports_feedback_is_told_how_much_was_masked(apprentice: CommandLine, house: Installation) -> None:
    line = {"question": "Which card?", "person": "U1", "correction": "Charge 4111 1111 1111 1111."}
    file = apprentice.file("feedback.jsonl", json.dumps(line) + "\n")

    assert "Personal data or secrets: masked in 1, 0 set aside" in apprentice("feedback", "import", file).out
    assert "1111 1111" not in everything(house.database)


def test_somebody_unknown_is_named(apprentice: CommandLine, house: Installation) -> None:
    assert "nobody with the Slack user id U_NOBODY" in apprentice("person", "export", "U_NOBODY", "x.json").said


def test_marked_lines_are_scored_beside_what_one_would_use(alone: CommandLine) -> None:
    alone.file("lines_en.txt", "# ours\nPaid with [[card|4111 1111 1111 1111]].\nRoom 2.14 is free.\n")

    result = alone("bench", "privacy", "--data", str(alone.folder), "--json", "result.json")

    assert result.status == 0
    figures = json.loads((alone.folder / "result.json").read_text())
    assert (figures["lines"], figures["unmarked_lines"]) == (2, 1)
    assert figures["ours"]["kinds"]["card"] == {"marked": 1, "recall": 1.0, "found": 1, "precision": 1.0}
    assert figures["detect_secrets"]["kinds"]["card"]["recall"] == 0.0


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [("notes.txt", "", "no file lines_LANGUAGE.txt"), ("lines_en.txt", "[[colour|red]]", "'colour'")],
)
def test_lines_that_cannot_be_scored_are_refused(alone: CommandLine, name: str, content: str, says: str) -> None:
    alone.file(name, content)

    assert says in alone("bench", "privacy", "--data", str(alone.folder)).said
