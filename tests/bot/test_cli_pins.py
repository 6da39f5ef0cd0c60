"""Pins from the command line, and what the figures say of choices between two answers."""

import pytest

from storage.database import Database
from storage.people import ensure_workspace
from storage.records import utc_now
from tests.bot.commands import CommandLine
from tests.governance.installation import OTHER, Clock, Installation
from tests.governance.test_comparing import NEW, OLD, choose

DESK = "T1/CDESK"


@pytest.fixture
def house(apprentice: CommandLine, sqlite_database: Database) -> Installation:
    """The installation that the command line acts on, in which the old adapter serves."""
    house = Installation(sqlite_database, apprentice.folder / "data", Clock(utc_now()))
    house.live(OLD)
    return house


def pinned(apprentice: CommandLine) -> list[tuple[str, str, str, str]]:
    rows = apprentice("pins", "--json").json
    return [(row["who"], row["kind"], row["adapter"], row["reason"]) for row in rows]


def test_a_person_and_a_channel_are_pinned_listed_and_let_go(apprentice: CommandLine, house: Installation) -> None:
    assert "Nobody is pinned." in apprentice("pins").out
    told = apprentice("pin", "U_OTHER", OLD[:8], "--reason", "tone", "--days", "7").out
    assert f"person {OTHER} is pinned to adapter {OLD[:12]} until " in told
    assert apprentice("pin", "CDESK", "base", "--reason", "before and after", "--json").json["adapter"] == "base model"

    assert sorted(pinned(apprentice)) == [
        (DESK, "channel", "base model", "before and after"),
        (OTHER, "person", OLD[:12], "tone"),
    ]
    assert "before and after" in apprentice("pins").out

    assert apprentice("unpin", OTHER).out == f"{OTHER} is not pinned any more.\n"
    assert apprentice("unpin", "CDESK", "--json").json == {"unpinned": DESK}
    assert pinned(apprentice) == []
    assert apprentice("unpin", "CDESK").said == f"error: {DESK} is not pinned."
    assert apprentice("audit", "verify").status == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("UNOBODY", "base", "--reason", "x"), "nobody with the Slack user id UNOBODY has used the bot yet"),
        (("U_OTHER", "f" * 64, "--reason", "x"), "there is no adapter ffff"),
        (("U_OTHER", "base", "--reason", " "), "to pin, say why"),
        (("U_OTHER", "base", "--reason", "x", "--days", "91"), "at most 90 days"),
        (("T9/CDESK", "base", "--reason", "x"), "known are T1"),
        (("CDESK", NEW, "--reason", "x"), "is proposed; a channel is pinned to adapters in these states: canary"),
    ],
)
def test_what_is_not_possible_is_refused_with_what_to_do(
    apprentice: CommandLine, house: Installation, arguments: tuple[str, ...], says: str
) -> None:
    house.proposed(NEW)
    done = apprentice("pin", *arguments)
    assert (done.status, done.out) == (1, "")
    assert says in done.said
    assert pinned(apprentice) == []


def test_of_several_workspaces_the_one_of_the_channel_has_to_be_named(
    apprentice: CommandLine, house: Installation
) -> None:
    with house.database.transaction() as session:
        ensure_workspace(session, "T2", "Another", house.clock())
    assert "name the workspace of CDESK" in apprentice("pin", "CDESK", "base", "--reason", "x").said
    apprentice("pin", "T2/CDESK", "base", "--reason", "x")
    assert [each[0] for each in pinned(apprentice)] == ["T2/CDESK"]


def test_the_figures_say_how_often_each_was_preferred_also_one_that_waits_for_approval(
    apprentice: CommandLine, house: Installation
) -> None:
    house.proposed(NEW)
    for number, preferred in enumerate(("b", "b", "a", "neither")):
        choose(house, preferred, number)  # type: ignore[arg-type]

    rows = apprentice("figures", "--json").json
    assert [(row["adapter"], row["state"], row["preferred"], row["compared"]) for row in rows] == [
        (NEW[:12], "proposed", 2, 3),
        (OLD[:12], "serving", 1, 3),
        ("base model", "", 0, 0),
    ]
    assert [row["judged"] for row in rows] == [0, 0, 0]
