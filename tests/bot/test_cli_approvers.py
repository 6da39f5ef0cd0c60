"""An approver's vote that is handed on, used and taken back from the command line."""

import csv
import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest

from governance.policy import load_policy
from storage.database import Database
from storage.people import ensure_person
from storage.records import utc_now
from tests.bot.commands import CommandLine
from tests.governance.installation import APPROVER, EXPERT, OTHER, Clock, Installation

NEW, DEPUTY = "b" * 64, "T1/U_DEPUTY"
POLICY = """
name = "ours"
[gates.as_told]
at_least = 0.5
[approval]
approvers = ["U_APPROVER", "U_OTHER"]
quorum = 2
delegation_days = 14
"""


@pytest.fixture
def house(apprentice: CommandLine, sqlite_database: Database) -> Installation:
    """The installation that the command line acts on, with a proposal that two approvers decide on."""
    policy = apprentice.file("policy.toml", POLICY)
    apprentice.set(GOVERNANCE__POLICY=policy)
    house = Installation(sqlite_database, apprentice.folder / "data", Clock(utc_now()), load_policy(policy))
    with sqlite_database.transaction() as session:
        ensure_person(session, "T1", "U_DEPUTY", "Dora", house.clock())
    house.proposed(NEW, shares={EXPERT: 1.0})
    return house


def in_days(days: float) -> str:
    return f"{utc_now() + timedelta(days=days):%Y-%m-%dT%H:%M}"


def delegate(apprentice: CommandLine, to: str = "U_DEPUTY", *more: str, until: str = "") -> Any:
    whose = ("approvers", "delegate", "--from", "U_APPROVER", "--to", to)
    return apprentice(*whose, "--until", until or in_days(7), "--reason", "on holiday", *more)


def test_a_vote_is_handed_on_used_and_taken_back(apprentice: CommandLine, house: Installation) -> None:
    assert "No approver has handed on their vote." in apprentice("approvers", "list").out
    assert f"{DEPUTY} decides on behalf of {APPROVER} until 20" in delegate(apprentice).out
    (row,) = apprentice("approvers", "list", "--json").json
    assert (row["from"], row["to"], row["reason"]) == (APPROVER, DEPUTY, "on holiday")

    assert "one more approval" in apprentice("approve", NEW, "--as", "U_DEPUTY").out
    assert "already" in apprentice("approve", NEW, "--as", "U_APPROVER").said
    assert apprentice("approvers", "revoke", "--from", "U_APPROVER", "--json").json == {"revoked": APPROVER}
    assert apprentice("approvers", "list", "--json").json == []
    assert "has handed their vote to nobody" in apprentice("approvers", "revoke", "--from", "U_APPROVER").said

    assert house.serving() is None
    assert apprentice("approve", NEW, "--as", "U_OTHER", "--json").json["promoted"]
    assert apprentice("audit", "verify").status == 0


def test_a_day_means_its_beginning_in_utc(apprentice: CommandLine, house: Installation) -> None:
    day = f"{house.clock() + timedelta(days=7):%Y-%m-%d}"
    assert delegate(apprentice, "U_DEPUTY", "--json", until=day).json["until"] == f"{day} 00:00:00+00:00"


@pytest.mark.parametrize(
    ("to", "until", "says"),
    [
        ("UNOBODY", "", "nobody with the Slack user id UNOBODY has used the bot yet"),
        ("U_OTHER", "", f"{OTHER} is an approver too"),
        ("U_DEPUTY", in_days(15), "at most 14 days"),
        ("U_DEPUTY", "2025-01-01", "at most 14 days"),
        ("U_DEPUTY", "Christmas", "'Christmas' does not match the formats '%Y-%m-%d'"),
    ],
)
@pytest.mark.usefixtures("house")
def test_what_is_not_possible_is_refused_with_what_to_do(
    apprentice: CommandLine, to: str, until: str, says: str
) -> None:
    done = delegate(apprentice, to, until=until)
    assert (done.status == 0, done.out) == (False, "")
    assert says in done.said
    assert apprentice("approvers", "list", "--json").json == []


@pytest.mark.usefixtures("house")
def test_who_decided_in_whose_name_is_in_the_documents_the_lineage_and_both_peoples_data(
    apprentice: CommandLine,
) -> None:
    delegate(apprentice)
    apprentice("approve", NEW, "--as", "U_DEPUTY")

    assert f"approve by {DEPUTY} on behalf of {APPROVER}" in apprentice("documents", "card", NEW).out
    assert f"approve by Dora ({DEPUTY}) on behalf of {APPROVER}" in apprentice("lineage", NEW).out
    assert f"approve by Dora ({DEPUTY}) on behalf of {APPROVER}" in apprentice("lineage", APPROVER).out
    assert apprentice("documents", "compliance", "all.zip").status == 0
    with zipfile.ZipFile(apprentice.folder / "all.zip") as archive:
        (decision,) = csv.DictReader(io.StringIO(archive.read("decisions.csv").decode()))
    assert (decision["person"], decision["on behalf of"]) == (DEPUTY, APPROVER)
    for person in ("U_DEPUTY", "U_APPROVER"):
        counts = apprentice("person", "export", person, "person.json", "--json").json
        assert (counts["decisions"], counts["delegations"]) == (1, 1)
        kept = json.loads((apprentice.folder / "person.json").read_text())
        assert kept["decisions"][0]["on_behalf_of"] == APPROVER
