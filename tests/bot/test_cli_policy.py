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


STRICT = 'name = "ours"\n[gates.as_told]\nat_least = 0.9\n[approval]\nquorum = 2\n'


@pytest.fixture
def ruled(apprentice: CommandLine, house: Installation) -> CommandLine:
    """A command line on an installation whose packaged policy is in force, and a file with another one."""
    house.governance.policies.put_first_in_force("operator:kim")
    apprentice.file("policy.toml", STRICT)
    return apprentice


def test_a_change_is_proposed_shown_and_approved(ruled: CommandLine) -> None:
    told = ruled("policy", "propose", "policy.toml", "--reason", "two pairs of eyes", "--as", "U_EXPERT")
    assert (told.status, "no longer: One approval is needed" in told.out) == (0, True)
    assert "key: approval.quorum: 1 -> 2" in told.out
    assert "Approvals needed: 1, of any member. Approvals missing: 1. Open until" in told.out
    digest = ruled("policy", "check", "policy.toml", "--json").json["digest"]

    assert "you proposed this policy" in ruled("policy", "approve", digest, "--as", "U_EXPERT").said
    shown = ruled("policy", "show", digest[:12])
    assert "from now on: 2 approvals are needed" in shown.out
    assert "in force now" in ruled("policy", "approve", digest[:8], "--as", "U_APPROVER").out

    assert "2 approvals are needed" in ruled("policy", "show").out
    found = ruled("policy", "show", digest, "--json").json
    assert (found["state"], found["policy"]["approval"]["quorum"]) == ("in_force", 2)
    assert [each["person_id"] for each in found["decisions"]] == ["T1/U_APPROVER"]
    states = ruled("policy", "status", "--json").json["versions"]
    assert [(each["name"], each["state"]) for each in states] == [("ours", "in_force"), ("small-team", "superseded")]
    assert ruled("audit", "verify").status == 0
    assert ruled("person", "export", "U_APPROVER", "approver.json", "--json").json["decisions"] == 1


def test_a_rejection_needs_a_reason_and_is_shown(ruled: CommandLine) -> None:
    digest = ruled("policy", "propose", "policy.toml", "--json").json["digest"]
    assert "say why" in ruled("policy", "reject", digest, "--as", "U_OTHER", "--reason", " ").said
    assert (
        ruled("policy", "reject", digest, "--as", "U_OTHER", "--reason", "too slow", "--json").json["state"]
        == "rejected"
    )
    assert "U_OTHER rejected it: too slow" in ruled("policy", "show", digest).out
    assert "nothing is to be decided" in ruled("policy", "approve", digest, "--as", "U_APPROVER").said


def test_the_first_policy_is_shown_as_adopted_at_the_first_start(ruled: CommandLine) -> None:
    assert "adopted at the first start by operator:kim, 2026-01-01 00:00 UTC" in ruled("policy", "show").out
    (first,) = ruled("policy", "status", "--json").json["versions"]
    assert (first["adopted_by"], first["proposed_by"], first["proposed"]) == ("operator:kim", None, None)
    assert first["decided"].startswith("2026-01-01 00:00")

    digest = ruled("policy", "propose", "policy.toml", "--as", "U_EXPERT", "--reason", "safer", "--json").json["digest"]
    assert "proposed by T1/U_EXPERT, 2" in ruled("policy", "show", digest).out
    (second, _) = ruled("policy", "status", "--json").json["versions"]
    assert (second["adopted_by"], second["proposed_by"], second["decided"]) == (None, "T1/U_EXPERT", None)


def test_whoever_proposed_it_withdraws_it_and_the_reason_is_shown(ruled: CommandLine) -> None:
    digest = ruled("policy", "propose", "policy.toml", "--as", "U_EXPERT", "--json").json["digest"]
    refused = ruled("policy", "withdraw", digest, "--reason", "not now")
    assert (refused.status, "only whoever proposed this policy" in refused.said) == (1, True)
    told = ruled("policy", "withdraw", digest[:12], "--as", "U_EXPERT", "--reason", "two are too few")
    assert (told.status, f"Withdrawn: ours ({digest[:12]}). The policy in force holds on." in told.out) == (0, True)
    shown = ruled("policy", "show", digest)
    assert f"ours ({digest[:12]}), withdrawn" in shown.out
    assert "withdrawn: two are too few" in shown.out
    assert ruled("policy", "show", digest, "--json").json["withdrawn_reason"] == "two are too few"

    assert ruled("person", "export", "U_EXPERT", "expert.json", "--json").json["policies"] == 1

    assert ruled("policy", "propose", "policy.toml", "--json").json["state"] == "proposed"
    done = ruled("policy", "withdraw", digest, "--reason", "by the operator who proposed it", "--json").json
    assert (done["state"], done["decided"] is None) == ("withdrawn", False)
    assert ruled("audit", "verify").status == 0


def test_a_file_that_is_not_in_force_is_named_with_what_to_do(
    ruled: CommandLine, caplog: pytest.LogCaptureFixture
) -> None:
    ruled.set(GOVERNANCE__POLICY="policy.toml")
    status = ruled("policy", "status", "--json").json
    assert status["file_differs"]
    assert "policy.toml differs from the policy in force, 'small-team'" in caplog.text
    assert "`apprentice policy propose policy.toml` asks for the approval" in caplog.text
    assert "One approval is needed" in ruled("policy", "show").out
    caplog.clear()
    ruled.set(GOVERNANCE__POLICY="builtin:small-team")
    assert not ruled("policy", "status", "--json").json["file_differs"]
    assert caplog.text == ""


@pytest.mark.usefixtures("house")
def test_before_the_first_start_nothing_is_in_force(apprentice: CommandLine) -> None:
    assert "No policy is in force yet" in apprentice("policy", "status").out
    assert apprentice("policy", "show", "--json").json["name"] == "small-team"
    assert "no policy is in force yet" in apprentice("policy", "propose", "builtin:finance").said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("approve", "abcdef", "--as", "U_OTHER"), "there is no policy 'abcdef'"),
        (("show", "a"), "there is no policy 'a'"),
        (("propose", "nowhere.toml"), "cannot read the policy nowhere.toml"),
        (("propose", "builtin:small-team"), "in force already"),
        (("propose", "policy.toml", "--as", "U_NOBODY"), "nobody with the Slack user id U_NOBODY"),
    ],
)
def test_what_cannot_be_done_is_said(ruled: CommandLine, arguments: tuple[str, ...], says: str) -> None:
    result = ruled("policy", *arguments)
    assert (result.status, says in result.said) == (1, True), result.said
