"""A compliance officer goes from a message in Slack back to a person, and from that person forward to it again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.database import Database
from storage.records import utc_now
from tests.bot.commands import CommandLine
from tests.governance.installation import EXPERT, Clock, Installation
from tests.governance.test_watching import answer
from tests.learning.test_lineage import NEW, Told, tell

LINK = "https://team.slack.com/archives/C/p1700000000000100"


@pytest.fixture
def told(apprentice: CommandLine, sqlite_database: Database) -> Told:
    return tell(Installation(sqlite_database, apprentice.folder / "data", Clock(utc_now())))


@pytest.fixture
def apprentice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sqlite_database: Database
) -> CommandLine:
    commands = CommandLine.start(tmp_path, monkeypatch, capsys)
    commands.use(sqlite_database)
    return commands


def flat(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in nodes:
        yield node
        yield from flat(node["children"])


def steps(apprentice: CommandLine, what: str, direction: str) -> dict[str, list[str]]:
    """Return the ids of all that the command leads to from here, by what they are."""
    found: dict[str, list[str]] = {}
    for node in flat(apprentice("lineage", what, f"--{direction}", "--json").json[direction]):
        found.setdefault(node["kind"], []).append(node["id"])
    return found


def test_from_a_message_back_to_a_person_and_forward_again_step_by_step(apprentice: CommandLine, told: Told) -> None:
    with told.house.database.transaction() as session:
        told.answer_row(session).answer_ts = "1700000000.000100"

    assert apprentice("lineage", LINK, "--json").json["id"] == told.given
    (adapter,) = steps(apprentice, LINK, "back")["adapter"]
    (run,) = steps(apprentice, adapter, "back")["run"]
    (data_set,) = steps(apprentice, run, "back")["data set"]
    row = steps(apprentice, data_set, "back")["row"][0]
    correction = steps(apprentice, row, "back")["feedback"][0]
    (person,) = steps(apprentice, correction, "back")["person"]
    assert (adapter, person) == (NEW, EXPERT)

    assert correction in steps(apprentice, person, "forward")["feedback"]
    assert row in steps(apprentice, correction, "forward")["row"]
    assert data_set in steps(apprentice, row, "forward")["data set"]
    assert run in steps(apprentice, data_set, "forward")["run"]
    assert adapter in steps(apprentice, run, "forward")["adapter"]
    assert told.given in steps(apprentice, adapter, "forward")["answer"]
    assert told.given in steps(apprentice, person, "forward")["answer"]


def test_the_tree_has_a_heading_for_each_direction_and_never_what_was_said(apprentice: CommandLine, told: Told) -> None:
    for number in range(20, 40):
        answer(told.house, NEW, number)

    shown = apprentice("lineage", NEW).out

    back, forward = shown.index("Comes from"), shown.index("Led to")
    assert back < shown.index(f"run {told.run}") < forward < shown.index("and 11 more")
    assert "and 11 more" not in apprentice("lineage", NEW, "--all").out
    assert "Led to" not in apprentice("lineage", NEW, "--back").out
    assert "Comes from" not in apprentice("lineage", NEW, "--forward").out
    assert "right" not in "".join(apprentice("lineage", each).out for each in (NEW, told.given, told.correction))
