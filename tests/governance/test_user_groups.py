"""Slack's user groups in the policy: who is in one has what the policy gives it, as it was last read."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from governance.errors import NotEntitledError
from governance.membership import Listed
from governance.policy import LISTS_OF_PEOPLE, BreakGlassRules, Policy
from governance.policy_check import check_policy
from governance.policy_words import explain_policy
from governance.user_groups import LASTING, is_group
from governance.voting import electorate_of
from storage.errors import ApprenticeError
from storage.user_groups import list_user_groups
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation

KIM = "operator:kim"
LEFT, VOTED = "user_group.changed", "decision.approve"
WHY = "the refund limit that it answers is wrong"


def governed(house: Installation, quorum: int = 1, **sections: dict[str, Any]) -> Installation:
    """Go on under a policy whose approvers are the user group SLEADS."""
    house.use_policy(approval={"approvers": ["SLEADS"], "quorum": quorum, "max_contributor_share": 1.0}, **sections)
    return house


def changes(house: Installation) -> list[dict[str, Any]]:
    records = (json.loads(body) for body in house.log())
    return [record for record in records if record["action"] == "user_group.changed"]


def refused(do: Callable[[], object]) -> str:
    with pytest.raises(NotEntitledError) as refusal:
        do()
    return str(refusal.value)


@pytest.mark.parametrize("entry", ["S0614TZR7", "T1/S0614TZR7"])
def test_a_user_group_is_named_by_slacks_id_as_people_are(entry: str) -> None:
    assert is_group(entry)


@pytest.mark.parametrize("entry", ["U0614TZR7", "T1/U0614", "*", "Sam", "@leads"])
def test_nothing_else_is_a_user_group(entry: str) -> None:
    assert not is_group(entry)


def test_a_member_decides_and_who_left_does_not_from_then_on(house: Installation) -> None:
    governed(house, quorum=2).read_groups(SLEADS=[APPROVER, OTHER])
    proposal = house.proposed().id
    house.governance.decide(proposal, APPROVER, "approve")
    house.read_groups(SLEADS=[OTHER, EXPERT])

    said = refused(lambda: house.governance.decide(house.proposed("b" * 64).id, APPROVER, "approve"))
    assert said == (
        "the policy 'small-team' does not let you decide on adapters: it does not name you as an approver. It names: "
        "the user group @sleads (SLEADS)."
    )
    house.governance.decide(proposal, OTHER, "approve")  # what was decided before stands
    assert house.serving() == "a" * 64


def test_of_a_group_that_names_nobody_the_refusal_says_why(sqlite_house: Installation) -> None:
    house = governed(sqlite_house)
    proposal = house.proposed().id
    may = house.governance.may_decide
    assert may(proposal, APPROVER).endswith(
        "The user group SLEADS was never read from Slack, so it names nobody; `apprentice up` reads it."
    )
    house.read_groups()
    assert may(proposal, APPROVER).endswith("Slack knows no user group SLEADS, so it names nobody.")
    house.read_groups(SLEADS=[])
    assert may(proposal, APPROVER).endswith("The user group @sleads (SLEADS) has no members.")
    listed = Listed("leads", is_enabled=False, members=["U_APPROVER"])
    house.governance.keep_user_groups("T1", {"SLEADS": listed}, house.clock())
    assert may(proposal, APPROVER).endswith("The user group @leads (SLEADS) is disabled in Slack, so it names nobody.")

    house.read_groups(SLEADS=[APPROVER])
    assert may(proposal, APPROVER) == ""
    house.clock.advance(hours=LASTING // timedelta(hours=1))
    assert may(proposal, APPROVER).endswith(
        "The user group @sleads (SLEADS) was last read from Slack on 2026-01-01 00:00 UTC. That is more than 12 hours "
        "ago, so it names nobody until it is read again."
    )
    house.read_groups(SLEADS=[APPROVER])
    assert may(proposal, APPROVER) == ""


def test_another_workspaces_group_of_that_id_is_another_group(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(approval={"approvers": ["T2/SLEADS"]})
    sqlite_house.read_groups(SLEADS=[APPROVER])
    assert "never read" in sqlite_house.governance.may_decide(sqlite_house.proposed().id, APPROVER)


def test_who_did_something_for_an_adapter_is_left_out_of_a_group_too(sqlite_house: Installation) -> None:
    governed(sqlite_house).read_groups(SLEADS=[STARTER, APPROVER])
    proposal = sqlite_house.proposed().id
    assert "started this training run" in sqlite_house.governance.may_decide(proposal, STARTER)

    def listed() -> list[str]:
        with sqlite_house.database.read() as session:
            proposed = sqlite_house.proposal(proposal)
            return electorate_of(session, sqlite_house.policy, proposed, sqlite_house.clock()).named

    assert listed() == ["SLEADS"]
    sqlite_house.read_groups(SLEADS=[STARTER])
    assert listed() == []


def test_a_vote_is_handed_on_by_a_member_as_long_as_they_are_one(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(approval={"approvers": ["SLEADS"], "delegation_days": 7, "max_contributor_share": 1.0})
    until = sqlite_house.clock() + timedelta(days=2)
    rules = sqlite_house.governance
    assert "never read" in refused(lambda: rules.delegate_vote(APPROVER, OTHER, until, "away"))
    sqlite_house.read_groups(SLEADS=[APPROVER])
    rules.delegate_vote(APPROVER, OTHER, until, "away")
    proposal = sqlite_house.proposed().id
    assert rules.may_decide(proposal, OTHER) == ""

    sqlite_house.read_groups(SLEADS=[EXPERT])
    assert "does not name whoever handed you their vote" in rules.may_decide(proposal, OTHER)


def test_the_glass_is_broken_and_judged_by_members(sqlite_house: Installation) -> None:
    governed(sqlite_house, break_glass={"who": ["SDUTY"], "tell": ["SDUTY"]})
    sqlite_house.read_groups(SLEADS=[APPROVER], SDUTY=[STARTER, OTHER])
    rules, proposal = sqlite_house.governance, sqlite_house.proposed().id
    assert "It names: the user group @sduty (SDUTY)." in refused(lambda: rules.break_glass(proposal, EXPERT, WHY))

    glass, _ = rules.break_glass(proposal, STARTER, WHY)
    assert glass.told == OTHER
    rules.note_break_glass_seen(glass.id, OTHER)
    sqlite_house.read_groups(SLEADS=[APPROVER], SDUTY=[STARTER])
    assert "does not let you answer an emergency" in refused(lambda: rules.undo_break_glass(glass.id, OTHER))
    assert rules.confirm_break_glass(glass.id, APPROVER).missing == 0


def test_nobody_breaks_the_glass_when_the_group_to_tell_has_nobody_else(sqlite_house: Installation) -> None:
    governed(sqlite_house, break_glass={"who": ["SDUTY"], "tell": ["SDUTY"]}).read_groups(SDUTY=[STARTER])
    proposal = sqlite_house.proposed().id
    assert "somebody else has to be told" in refused(
        lambda: sqlite_house.governance.break_glass(proposal, STARTER, WHY)
    )


def test_a_change_of_who_matters_is_in_the_log_by_ids_alone(house: Installation) -> None:
    governed(house).read_groups(SLEADS=[APPROVER, OTHER], SLUNCH=[EXPERT])
    house.read_groups(SLEADS=[APPROVER, OTHER])
    house.read_groups(SLEADS=[OTHER, EXPERT])

    first, second = changes(house)
    assert (first["object"], first["actor"]) == ("T1/SLEADS", "system")
    assert first["digests"]["joined"] == f"{APPROVER} {OTHER}"
    assert (second["digests"]["joined"], second["digests"]["left"]) == (EXPERT, APPROVER)
    assert "sleads" not in json.dumps([first, second])
    with house.database.read() as session:
        assert [group.id for group in list_user_groups(session)] == ["SLEADS"]
    assert house.audit.verify(house.database).verified


def test_a_group_that_nobody_names_any_more_is_forgotten(sqlite_house: Installation) -> None:
    governed(sqlite_house).read_groups(SLEADS=[APPROVER])
    sqlite_house.use_policy(approval={"approvers": [APPROVER]})
    assert sqlite_house.governance.user_groups_to_read() == {"SLEADS"}
    sqlite_house.read_groups(SLEADS=[APPROVER])
    assert sqlite_house.governance.user_groups_to_read() == frozenset()


def test_a_workspace_that_removed_the_app_has_no_groups(sqlite_house: Installation) -> None:
    governed(sqlite_house).read_groups(SLEADS=[APPROVER])
    sqlite_house.governance.uninstall_workspace("T1", sqlite_house.clock())
    assert "never read" in sqlite_house.governance.may_decide(sqlite_house.proposed().id, APPROVER)


def test_what_was_asked_for_later_stays_whichever_comes_first(house: Installation) -> None:
    governed(house)
    times = [house.clock() for _ in range(6)]

    def keep(at: datetime) -> None:
        member = [APPROVER, OTHER, EXPERT][times.index(at) % 3].partition("/")[2]
        house.governance.keep_user_groups("T1", {"SLEADS": Listed("leads", is_enabled=True, members=[member])}, at)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(keep, [times[4], times[5], times[0], times[3], times[1], times[2]]))

    with house.database.read() as session:
        (group,) = list_user_groups(session)
    assert (group.members, group.read_at) == ([EXPERT], times[5])
    assert house.audit.verify(house.database).verified


def test_who_votes_while_they_are_taken_out_voted_before_that_or_is_refused(house: Installation) -> None:
    governed(house, quorum=2)
    for digest in ("a" * 64, "b" * 64, "c" * 64):
        house.read_groups(SLEADS=[APPROVER])
        proposal = house.proposed(digest).id
        with ThreadPoolExecutor(2) as pool:
            vote = pool.submit(house.governance.decide, proposal, APPROVER, "approve")
            pool.submit(house.read_groups, SLEADS=[OTHER]).result()
        order = [action for body in house.log() if (action := json.loads(body)["action"]) in {LEFT, VOTED}]
        if isinstance(vote.exception(), NotEntitledError):
            continue
        assert vote.result().missing == 1
        assert order[-2:] == [VOTED, LEFT]


def test_who_left_has_no_say_on_a_policy_and_a_vote_does_not_lapse_while_slack_is_away(house: Installation) -> None:
    governed(house, quorum=2).read_groups(SLEADS=[APPROVER, OTHER, EXPERT])
    policies = house.governance.policies
    assert policies.put_first_in_force(KIM)
    wanted = Policy.model_validate(house.policy.model_dump() | {"people": {"guests": "answer"}})
    version = policies.propose(wanted, KIM).id
    policies.decide(version, APPROVER, "approve")
    house.clock.advance(hours=13)
    assert "was last read" in policies.may_decide(version, OTHER)
    house.read_groups(SLEADS=[OTHER, EXPERT])

    assert "Approvals missing: 1." in policies.decide(version, OTHER, "approve").message
    assert "in force now" in policies.decide(version, EXPERT, "approve").message


def test_a_vote_on_a_policy_counts_by_what_was_last_read_however_long_ago(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(approval={"approvers": ["SLEADS", OTHER], "quorum": 2})
    sqlite_house.read_groups(SLEADS=[APPROVER])
    policies = sqlite_house.governance.policies
    policies.put_first_in_force(KIM)
    version = policies.propose(Policy.model_validate(sqlite_house.policy.model_dump() | {"name": "new"}), KIM).id
    policies.decide(version, APPROVER, "approve")
    sqlite_house.clock.advance(hours=13)
    assert "in force now" in policies.decide(version, OTHER, "approve").message


def test_who_is_needed_to_decide_cannot_propose_a_policy_also_when_a_group_is_named(sqlite_house: Installation) -> None:
    governed(sqlite_house, quorum=2).read_groups(SLEADS=[APPROVER, OTHER])
    policies = sqlite_house.governance.policies
    policies.put_first_in_force(KIM)
    wanted = Policy.model_validate(sqlite_house.policy.model_dump() | {"name": "new"})
    assert "of the user group @sleads (SLEADS), and" in refused(lambda: policies.propose(wanted, APPROVER))
    assert policies.propose(wanted, EXPERT).state == "proposed"


def test_a_proposed_policys_groups_are_read_before_it_is_in_force(sqlite_house: Installation) -> None:
    policies = sqlite_house.governance.policies
    policies.put_first_in_force(KIM)
    wanted = sqlite_house.policy.model_dump()
    wanted["approval"]["approvers"] = ["SLEADS"]
    policies.propose(Policy.model_validate(wanted), KIM)
    assert sqlite_house.governance.user_groups_to_read() == {"SLEADS"}
    sqlite_house.read_groups(SLEADS=[APPROVER])
    assert changes(sqlite_house) == []  # it matters once it is in force


def test_what_is_wrong_with_groups_is_said(sqlite_house: Installation) -> None:
    governed(sqlite_house, quorum=2, roles={"operators": ["SOPS", "U_STARTER"]}).read_groups(SLEADS=[APPROVER])
    assert sqlite_house.governance.user_group_warnings() == [
        "Slack knows no user group SOPS, so it names nobody.",
        "approval.quorum is 2, but approval.approvers names only 1 at present.",
    ]
    sqlite_house.read_groups(SLEADS=[APPROVER, OTHER], SOPS=[EXPERT])
    assert sqlite_house.governance.user_group_warnings() == []


def test_a_trusted_group_needs_no_review(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(feedback={"trusted": ["SEXPERTS"]})
    sqlite_house.read_groups(SEXPERTS=[EXPERT])

    def corrected(person: str) -> str:
        return sqlite_house.governance.record_feedback(
            workspace_id="T1", person_id=person, kind="correction", question="q", answer="a", text="b", source="slack"
        ).state

    assert (corrected(EXPERT), corrected(OTHER)) == ("accepted", "pending_review")


def test_a_policy_with_groups_is_checked_and_said_in_words(sqlite_house: Installation) -> None:
    governed(sqlite_house, quorum=3, training={"starters": ["SLEADS"]}, feedback={"reviewers": ["SLEADS"]})
    found = check_policy(sqlite_house.policy)
    assert (found.contradictions, found.warnings) == ((), ())
    assert "Reviewers: to review corrections, the user group SLEADS." in explain_policy(sqlite_house.policy)

    sqlite_house.use_policy(feedback={"trusted": ["@leads"]})
    (contradiction,) = check_policy(sqlite_house.policy).contradictions
    assert contradiction.startswith("feedback.trusted has '@leads', which names nobody")
    with pytest.raises(ApprenticeError, match="Name a user group by its id"):
        sqlite_house.governance.policies.propose(sqlite_house.policy, KIM)


def test_all_lists_of_people_are_known() -> None:
    """Lists of something else, such as domains of mails, are tuples; the groups of the curation name people only."""
    lists = {
        (name, key)
        for name, field in Policy.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key, inner in field.annotation.model_fields.items()
        if "list[str]" in str(inner.annotation) and key != "groups"
    }
    assert lists == {*LISTS_OF_PEOPLE}
    assert BreakGlassRules(who=["SDUTY"], tell=["SDUTY"]).tell == ["SDUTY"]
