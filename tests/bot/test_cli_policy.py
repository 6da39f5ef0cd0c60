"""The commands about policies."""

from pathlib import Path

import pytest

from storage.database import Database
from tests.bot.conftest import CommandLine
from tests.governance.installation import Installation

NEW = "b" * 64


@pytest.fixture
def house(sqlite_database: Database, tmp_path: Path) -> Installation:
    return Installation(sqlite_database, tmp_path)


def test_a_packaged_policy_is_told_in_words(apprentice: CommandLine) -> None:
    said = apprentice("policy", "check", "builtin:healthcare")
    assert said.status == 0
    assert "2 approvals are needed" in said.out
    found = apprentice("policy", "check", "builtin:healthcare", "--json").json
    assert (found["name"], found["contradictions"]) == ("healthcare", [])


def test_a_contradiction_is_refused_and_an_unknown_key_named(apprentice: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text('name = "ours"\n[gates.as_told]\nat_least = 3.0\n')
    said = apprentice("policy", "check", str(file))
    assert said.status == 1
    assert "contradiction gates.as_told.at_least is 3" in said.out
    file.write_text('name = "ours"\n[gates.as_told]\nat_last = 0.9\n')
    assert "unknown key 'gates.as_told.at_last'" in apprentice("policy", "check", str(file)).said


@pytest.mark.usefixtures("sqlite_database")
def test_past_adapters_are_shown_as_they_would_have_fared(apprentice: CommandLine, house: Installation) -> None:
    assert "No adapter was evaluated so far" in apprentice("policy", "simulate", "builtin:finance").out
    house.live(NEW)

    (same,) = apprentice("policy", "simulate", "builtin:small-team", "--json").json
    (other,) = apprentice("policy", "simulate", "builtin:finance", "--json").json

    assert (same["adapter"], same["is"], same["would_be"]) == (NEW[:12], "serving", "approved")
    assert other["would_be"] == "not enough approvals"
    assert "2 approvals are needed" in other["why"]
