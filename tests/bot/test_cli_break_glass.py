"""The glass is broken and confirmed from the command line, and what is said of the adapter says so ever after."""

import json

import pytest

from governance.policy import load_policy
from storage.database import Database
from storage.records import utc_now
from tests.bot.commands import CommandLine
from tests.governance.installation import APPROVER, EXPERT, OTHER, Clock, Installation

NEW = "b" * 64
WHY = "The refund limit that it answers is wrong."
POLICY = """
name = "ours"
[gates.as_told]
at_least = 0.5
[approval]
approvers = ["U_APPROVER"]
[break_glass]
who = ["U_OTHER"]
tell = ["U_STARTER"]
"""


@pytest.fixture
def house(apprentice: CommandLine, sqlite_database: Database) -> Installation:
    """The installation that the command line acts on, with an open proposal."""
    policy = apprentice.file("policy.toml", POLICY)
    apprentice.set(GOVERNANCE__POLICY=policy)
    house = Installation(sqlite_database, apprentice.folder / "data", Clock(utc_now()), load_policy(policy))
    house.proposed(NEW, shares={EXPERT: 1.0})
    return house


def promote(apprentice: CommandLine, proposal: str, by: str = "U_OTHER", why: str = WHY) -> str:
    done = apprentice("break-glass", "promote", proposal, "--by", by, "--reason", why)
    return done.out or done.said


@pytest.mark.parametrize("named", ["adapter", "proposal"])
def test_it_is_promoted_and_confirmed(apprentice: CommandLine, house: Installation, named: str) -> None:
    assert "The glass was never broken." in apprentice("break-glass", "list").out
    proposal = house.proposal_of(NEW)
    assert proposal is not None
    said = promote(apprentice, NEW[:12] if named == "adapter" else proposal.id)
    assert "The adapter goes live now. T1/U_STARTER is told." in said
    assert house.serving() == NEW
    (row,) = apprentice("break-glass", "list", "--json").json
    assert (row["adapter"], row["by"], row["reason"], row["state"]) == (NEW, OTHER, WHY, "open")

    own = apprentice("break-glass", "confirm", row["id"], "--by", "U_OTHER")
    assert "whoever broke the glass does not confirm it" in own.said
    assert "the adapter stays" in apprentice("break-glass", "confirm", row["id"], "--by", "U_APPROVER").out
    assert apprentice("break-glass", "list", "--json").json[0]["state"] == "confirmed"
    assert apprentice("audit", "verify").status == 0


def test_all_that_is_said_of_the_adapter_says_so(apprentice: CommandLine, house: Installation) -> None:
    promote(apprentice, NEW)
    house.governance.rollback("operator:kim", "it rambles")

    (adapter,) = apprentice("adapters", "--json").json
    assert adapter["break_glass"] == "rolled_back"
    assert f"taken live without its quorum (break-glass) by {OTHER}" in apprentice("documents", "card", NEW).out
    lineage = apprentice("lineage", NEW).out
    assert f"taken live without its quorum by {OTHER}" in lineage
    assert "break_glass.used" in lineage
    assert apprentice("person", "export", "U_OTHER", "person.json", "--json").json["break_glass"] == 1
    kept = json.loads((apprentice.folder / "person.json").read_text())
    assert kept["break_glass"][0]["reason"] == WHY


@pytest.mark.parametrize(
    ("proposal", "by", "why", "says"),
    [
        (NEW, "U_APPROVER", WHY, "does not let you break the glass"),
        (NEW, "U_OTHER", "Too short.", "at least 20 characters"),
        (NEW, "UNOBODY", WHY, "nobody with the Slack user id UNOBODY has used the bot yet"),
        ("prop_none", "U_OTHER", WHY, "there is no proposal prop_none"),
        ("c" * 64, "U_OTHER", WHY, "there is no adapter"),
    ],
)
def test_what_is_not_possible_is_refused_with_what_to_do(
    apprentice: CommandLine, house: Installation, proposal: str, by: str, why: str, says: str
) -> None:
    assert says in promote(apprentice, proposal, by, why)
    assert house.serving() is None


def test_one_that_is_unknown_cannot_be_confirmed(apprentice: CommandLine, house: Installation) -> None:
    assert house.serving() is None
    done = apprentice("break-glass", "confirm", "glass_none", "--by", APPROVER)
    assert "`apprentice break-glass list` lists them" in done.said
