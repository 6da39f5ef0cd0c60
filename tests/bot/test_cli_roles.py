"""Commands ask the table of roles for what governance has no function of its own."""

from collections.abc import Mapping, Sequence

import pytest

from governance.roles import NEEDED, Action
from storage.database import Database
from tests.bot.commands import CommandLine
from tests.governance.installation import Installation
from tests.governance.test_roles import DOING, Recording

COMMANDS: Mapping[Action, Sequence[tuple[str, ...]]] = {
    "export_person": [("person", "export", "U_EXPERT", "expert.json")],
    "check_log": [("audit", "verify"), ("audit", "prove", "0"), ("audit", "watch", "--once")],
    "export_log": [("audit", "export", "log.zip"), ("documents", "compliance", "compliance.zip")],
}


@pytest.fixture
def house(apprentice: CommandLine, sqlite_database: Database) -> Installation:
    """The installation that the command line acts on, in which something is in the log."""
    house = Installation(sqlite_database, apprentice.folder / "data")
    house.proposed()
    return house


@pytest.mark.parametrize(
    ("action", "command"), [(key, each) for key, commands in COMMANDS.items() for each in commands]
)
def test_a_command_asks_whether_whoever_uses_it_has_the_role(
    apprentice: CommandLine,
    house: Installation,
    monkeypatch: pytest.MonkeyPatch,
    action: Action,
    command: tuple[str, ...],
) -> None:
    table = Recording()
    monkeypatch.setattr("governance.roles.NEEDED", table)
    result = apprentice(*command)
    assert result.status == 0, result.said
    assert action in table.asked


def test_each_row_that_needs_a_role_is_asked_by_somebody() -> None:
    assert {*COMMANDS} | {*DOING} >= {action for action, need in NEEDED.items() if need.role is not None}
