"""An approver's vote in somebody else's hands: who may have it, what it counts for, and when it ends."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from governance.approvals import Ballot
from governance.errors import (
    AlreadyDecidedError,
    DelegationError,
    NotEntitledError,
    ProposalClosedError,
    ReasonRequiredError,
)
from governance.policy_simulation import simulate
from governance.user_groups import UserGroups
from governance.voting import electorate_of
from storage.delegations import Delegation, list_delegations
from storage.errors import ApprenticeError, NotFoundError
from storage.people import ensure_person
from storage.proposals import Decision, Proposal, decisions_on, get_proposal
from tests.governance.installation import APPROVER, GOOD, OTHER, STARTER, Installation

SECOND, DEPUTY = "T1/U_SECOND", "T1/U_DEPUTY"
"""Another approver, and somebody who is none."""


def know(house: Installation, *people: str) -> None:
    with house.database.transaction() as session:
        for person in people:
            ensure_person(session, "T1", person.partition("/")[2], person, house.clock())


def rules(house: Installation, **changes: object) -> None:
    """Go on under a policy with two named approvers, of whom each can hand on their vote for 14 days."""
    house.use_policy(approval={"approvers": [APPROVER, "U_SECOND"], "quorum": 2, "delegation_days": 14} | changes)


@pytest.fixture
def team(house: Installation) -> Installation:
    know(house, SECOND, DEPUTY)
    rules(house)
    return house


@pytest.fixture
def sqlite_team(sqlite_house: Installation) -> Installation:
    know(sqlite_house, SECOND, DEPUTY)
    rules(sqlite_house)
    return sqlite_house


def hand_on(house: Installation, whose: str = APPROVER, to: str = DEPUTY, days: float = 7) -> Delegation:
    ends_at = house.clock() + timedelta(days=days)
    return house.governance.delegate_vote(whose, to, ends_at, "on holiday")


def hands(house: Installation) -> dict[str, str]:
    with house.database.read() as session:
        return {each.delegator: each.delegate for each in list_delegations(session, house.clock())}


def records(house: Installation, action: str) -> list[dict[str, Any]]:
    return [record for record in map(json.loads, house.log()) if record["action"] == action]


def decided(house: Installation, proposal: Proposal) -> list[tuple[str, str | None]]:
    with house.database.read() as session:
        return [(each.person_id, each.on_behalf_of) for each in decisions_on(session, proposal.id)]


# What a vote in other hands counts for


def test_a_delegate_approves_in_the_approvers_name_and_the_log_names_both(team: Installation) -> None:
    hand_on(team)
    proposal = team.proposed()
    first = team.governance.decide(proposal.id, DEPUTY, "approve")
    assert (first.promoted, first.missing) == (False, 1)
    assert team.governance.decide(proposal.id, SECOND, "approve").promoted

    assert decided(team, proposal) == [(DEPUTY, APPROVER), (SECOND, None)]
    for_another, own = records(team, "decision.approve")
    assert (for_another["actor"], for_another["digests"]["on_behalf_of"]) == (DEPUTY, APPROVER)
    assert (own["actor"], own["digests"].get("on_behalf_of")) == (SECOND, None)
    (made,) = records(team, "delegation.set")
    assert (made["actor"], made["object"], made["digests"]["delegate"]) == (APPROVER, APPROVER, DEPUTY)
    assert team.audit.verify(team.database).verified


def test_a_delegate_rejects_too(team: Installation) -> None:
    hand_on(team)
    proposal = team.proposed()
    team.governance.decide(proposal.id, DEPUTY, "reject", "two answers got worse")
    assert team.proposal(proposal.id).state == "rejected"


@pytest.mark.parametrize(("first", "then"), [(DEPUTY, APPROVER), (APPROVER, DEPUTY), (DEPUTY, DEPUTY)])
def test_a_quorum_of_two_is_not_filled_with_one_vote_in_two_hands(team: Installation, first: str, then: str) -> None:
    hand_on(team)
    proposal = team.proposed()
    team.governance.decide(proposal.id, first, "approve")

    assert "already" in team.governance.may_decide(proposal.id, then)
    with pytest.raises(AlreadyDecidedError, match="already"):
        team.governance.decide(proposal.id, then, "approve")
    assert (len(decided(team, proposal)), team.serving()) == (1, None)


def test_an_approver_who_holds_anothers_vote_has_one_vote_their_own(team: Installation) -> None:
    rules(team, approvers=[APPROVER], quorum=1)
    hand_on(team, APPROVER, DEPUTY)
    rules(team, approvers=[APPROVER, DEPUTY])
    proposal = team.proposed()
    assert team.governance.decide(proposal.id, DEPUTY, "approve").missing == 1
    with pytest.raises(AlreadyDecidedError, match="you have decided"):
        team.governance.decide(proposal.id, DEPUTY, "approve")

    assert decided(team, proposal) == [(DEPUTY, None)]
    assert team.governance.decide(proposal.id, APPROVER, "approve").promoted


def test_a_vote_that_was_used_is_not_used_again_by_the_next_one_who_holds_it(team: Installation) -> None:
    hand_on(team)
    proposal = team.proposed()
    team.governance.decide(proposal.id, DEPUTY, "approve")
    team.governance.revoke_delegation(APPROVER)
    hand_on(team, to=OTHER)

    with pytest.raises(AlreadyDecidedError, match="the vote that you hold was used"):
        team.governance.decide(proposal.id, OTHER, "approve")


def test_who_voted_for_one_approver_does_not_vote_for_the_next(team: Installation) -> None:
    hand_on(team)
    proposal = team.proposed()
    team.governance.decide(proposal.id, DEPUTY, "approve")
    team.governance.revoke_delegation(APPROVER)
    hand_on(team, SECOND, DEPUTY)

    with pytest.raises(AlreadyDecidedError, match="you have decided"):
        team.governance.decide(proposal.id, DEPUTY, "approve")
    assert team.proposal(proposal.id).state == "open"


def row(house: Installation, person: str, whose: str | None = None, proposal: str = "prop") -> Decision:
    return Decision(
        id=f"{person} for {whose}",
        proposal_id=proposal,
        person_id=person,
        on_behalf_of=whose,
        verdict="approve",
        created_at=house.clock(),
    )


def test_no_name_counts_twice_in_a_ballot_whatever_the_rows_are(sqlite_team: Installation) -> None:
    for_approver, approval = row(sqlite_team, DEPUTY, APPROVER), sqlite_team.policy.approval
    assert Ballot.of([for_approver, row(sqlite_team, APPROVER)], approval).missing == 1
    assert Ballot.of([for_approver, row(sqlite_team, DEPUTY, SECOND)], approval).missing == 1
    assert Ballot.of([for_approver, row(sqlite_team, SECOND)], approval).missing == 0


def test_the_database_itself_refuses_a_second_vote_in_the_same_name(team: Installation) -> None:
    proposal = team.proposed()
    both = [row(team, person, APPROVER, proposal.id) for person in (DEPUTY, OTHER)]
    with pytest.raises(IntegrityError), team.database.transaction() as session:
        session.add_all(both)


# Separation of duties, and whether the approver still is one


@pytest.mark.parametrize(
    ("whose", "to", "shares", "says"),
    [
        (APPROVER, STARTER, {}, "you started this training run"),
        (APPROVER, DEPUTY, {DEPUTY: 0.6}, "you wrote 60% of the corrections"),
        (STARTER, DEPUTY, {}, "whoever handed you their vote started this training run"),
        (APPROVER, DEPUTY, {APPROVER: 0.6}, "whoever handed you their vote wrote 60% of the corrections"),
    ],
)
def test_neither_of_the_two_may_have_had_a_part_in_what_is_judged(
    team: Installation, whose: str, to: str, shares: dict[str, float], says: str
) -> None:
    rules(team, approvers=[APPROVER, SECOND, *({whose} - {APPROVER})])
    hand_on(team, whose, to)
    proposal = team.proposed(shares=shares)

    assert says in team.governance.may_decide(proposal.id, to)
    with pytest.raises(NotEntitledError, match=says):
        team.governance.decide(proposal.id, to, "approve")
    assert decided(team, proposal) == []


def test_the_vote_is_worth_nothing_once_its_owner_is_no_approver(team: Installation) -> None:
    hand_on(team)
    rules(team, approvers=[SECOND, OTHER])
    with pytest.raises(NotEntitledError, match="does not name whoever handed you their vote as an approver"):
        team.governance.decide(team.proposed().id, DEPUTY, "approve")


def test_a_delegate_who_became_a_guest_decides_nothing(team: Installation) -> None:
    hand_on(team)
    team.meet(DEPUTY, "guest")
    with pytest.raises(NotEntitledError, match="guests cannot do this"):
        team.governance.decide(team.proposed().id, DEPUTY, "approve")


def test_a_policy_that_allows_it_no_more_or_for_less_long_ends_it(team: Installation) -> None:
    hand_on(team, days=14)
    for days in (0, 3):
        rules(team, delegation_days=days)
        team.clock.advance(days=days)
        with pytest.raises(NotEntitledError, match="does not name you as an approver"):
            team.governance.decide(team.proposed(f"{days}" * 64).id, DEPUTY, "approve")


# Who may hand on which vote, to whom, until when


def test_it_ends_by_itself(team: Installation) -> None:
    hand_on(team, days=2)
    proposal = team.proposed()
    team.clock.advance(days=2)
    assert hands(team) == {}
    with pytest.raises(NotEntitledError, match="does not name you as an approver"):
        team.governance.decide(proposal.id, DEPUTY, "approve")
    hand_on(team, to=OTHER)
    assert hands(team) == {APPROVER: OTHER}


def test_it_is_taken_back_at_any_time_and_what_was_decided_with_it_stands(team: Installation) -> None:
    hand_on(team)
    before, after = team.proposed("a" * 64), team.proposed("b" * 64)
    team.governance.decide(before.id, DEPUTY, "approve")
    team.governance.revoke_delegation(APPROVER)

    assert hands(team) == {}
    assert decided(team, before) == [(DEPUTY, APPROVER)]
    with pytest.raises(NotEntitledError):
        team.governance.decide(after.id, DEPUTY, "approve")
    (record,) = records(team, "delegation.revoked")
    assert (record["actor"], record["object"], record["digests"]["delegate"]) == (APPROVER, APPROVER, DEPUTY)
    with pytest.raises(NotFoundError, match="has handed their vote to nobody"):
        team.governance.revoke_delegation(APPROVER)
    with pytest.raises(NotFoundError, match="has handed their vote to nobody"):
        team.governance.revoke_delegation(DEPUTY)


@pytest.mark.parametrize(
    ("whose", "to", "days", "error", "says"),
    [
        (OTHER, DEPUTY, 1, NotEntitledError, f"does not name {OTHER} as an approver"),
        (APPROVER, "T1/U_NOBODY", 1, NotFoundError, "there is no person T1/U_NOBODY"),
        (APPROVER, APPROVER, 1, DelegationError, "has that vote already"),
        (APPROVER, "T1/U_GUEST", 1, DelegationError, "cannot hold a vote: guests"),
        (APPROVER, SECOND, 1, DelegationError, "is an approver too, and one human has one vote"),
        (APPROVER, DEPUTY, 14.01, DelegationError, "at most 14 days"),
        (APPROVER, DEPUTY, 0, DelegationError, "from now to 2026-01-15 00:00 UTC"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_trace(
    sqlite_team: Installation, whose: str, to: str, days: float, error: type[ApprenticeError], says: str
) -> None:
    sqlite_team.meet("T1/U_GUEST", "guest")
    with pytest.raises(error, match=says):
        hand_on(sqlite_team, whose, to, days)
    assert (hands(sqlite_team), records(sqlite_team, "delegation.set")) == ({}, [])


def test_it_needs_a_reason_and_a_policy_that_allows_it(sqlite_team: Installation) -> None:
    with pytest.raises(ReasonRequiredError, match="to hand on a vote, say why"):
        sqlite_team.governance.delegate_vote(APPROVER, DEPUTY, sqlite_team.clock() + timedelta(days=1), " ")
    rules(sqlite_team, delegation_days=0)
    with pytest.raises(NotEntitledError, match=r"approval\.delegation_days would allow it"):
        hand_on(sqlite_team)


@pytest.mark.parametrize(
    ("whose", "to"),
    [
        (APPROVER, OTHER),  # a second delegate
        (SECOND, DEPUTY),  # a second vote for the same delegate
    ],
)
def test_one_vote_is_in_one_pair_of_hands_and_each_pair_holds_one(team: Installation, whose: str, to: str) -> None:
    hand_on(team)
    with pytest.raises(DelegationError, match=f"{APPROVER} has handed their vote to {DEPUTY} until .* Revoke that"):
        hand_on(team, whose, to)
    assert hands(team) == {APPROVER: DEPUTY}


@pytest.mark.parametrize("first", ["holds", "hands on"])
def test_there_are_no_chains(team: Installation, first: str) -> None:
    """The deputy is an approver of another domain, so both could be said; in either order one is refused."""
    own = {"approvers": [DEPUTY], "quorum": 1, "delegation_days": 14}
    team.use_policy(domains={"hr": {"approval": own}})
    steps = [(APPROVER, DEPUTY), (DEPUTY, OTHER)]
    allowed, refused = steps if first == "holds" else reversed(steps)

    hand_on(team, *allowed)
    with pytest.raises(DelegationError, match="Revoke that first"):
        hand_on(team, *refused)
    assert hands(team) == dict([allowed])


def test_a_vote_counts_where_its_owner_is_an_approver_and_nowhere_else(team: Installation) -> None:
    team.use_policy(domains={"hr": {"approval": {"approvers": [OTHER], "delegation_days": 3}}})
    hand_on(team, days=14)
    theirs = team.proposed("b" * 64, shares={}, domain="hr")

    assert team.governance.may_decide(team.proposed("a" * 64).id, DEPUTY) == ""
    assert "does not name whoever handed you" in team.governance.may_decide(theirs.id, DEPUTY)


def test_an_approver_of_two_domains_hands_on_a_vote_for_as_long_as_both_allow(team: Installation) -> None:
    team.use_policy(domains={"hr": {"approval": {"approvers": [APPROVER], "delegation_days": 3}}})
    with pytest.raises(DelegationError, match="at most 3 days"):
        hand_on(team, days=14)


# Who is named as able to decide


def test_whoever_can_decide_for_somebody_is_named_until_either_has(team: Installation) -> None:
    hand_on(team)
    proposal = team.proposed()

    def named() -> tuple[list[str], list[str]]:
        with team.database.read() as session:
            found = electorate_of(session, team.policy, get_proposal(session, proposal.id), team.clock())
        return found.named, [each.delegate for each in found.delegations]

    assert named() == ([APPROVER, "U_SECOND"], [DEPUTY])
    team.governance.decide(proposal.id, DEPUTY, "approve")
    assert named() == (["U_SECOND"], [])


@pytest.mark.parametrize("shares", [{DEPUTY: 0.6}, {APPROVER: 0.6}])
def test_who_may_not_decide_for_somebody_is_not_named(team: Installation, shares: dict[str, float]) -> None:
    hand_on(team)
    proposal = team.proposed(shares=shares)
    with team.database.read() as session:
        assert electorate_of(session, team.policy, proposal, team.clock()).delegations == []


# Under another policy, and all at once


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "1 of 1 decisions count"),
        ({"delegation_days": 0}, "nobody hands on their vote"),
        ({"approvers": [SECOND]}, "does not name whoever handed you their vote"),
        ({"approvers": [DEPUTY], "max_contributor_share": 0.1}, "whoever handed you their vote wrote 25%"),
    ],
)
def test_a_simulation_counts_it_as_the_other_policy_would(
    sqlite_team: Installation, changes: dict[str, object], says: str
) -> None:
    rules(sqlite_team, quorum=1)
    hand_on(sqlite_team)
    proposal = sqlite_team.proposed(shares={APPROVER: 0.25})
    outcome = sqlite_team.governance.decide(proposal.id, DEPUTY, "approve")
    rules(sqlite_team, quorum=1, **changes)
    adapter = sqlite_team.adapter(proposal.adapter_digest)

    seen = simulate(sqlite_team.policy, adapter, GOOD, proposal, outcome.decisions, UserGroups())
    assert says in seen.why
    assert seen.outcome == ("not enough approvals" if changes else "approved")


def test_an_approver_and_their_delegate_who_decide_at_once_are_one_vote(team: Installation) -> None:
    hand_on(team)
    proposal = team.proposed()

    def vote(person: str) -> str:
        try:
            return team.governance.decide(proposal.id, person, "approve").proposal.state
        except AlreadyDecidedError:
            return "already"

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(vote, [APPROVER, DEPUTY] * 3)) == ["already"] * 5 + ["open"]
    assert (len(decided(team, proposal)), team.serving()) == (1, None)


def test_of_two_delegations_at_once_one_holds(team: Installation) -> None:
    know(team, *(f"T1/U{place}" for place in range(6)))

    def give(place: int) -> str:
        try:
            return hand_on(team, to=f"T1/U{place}").delegate
        except DelegationError:
            return ""

    with ThreadPoolExecutor(6) as pool:
        (made,) = filter(None, pool.map(give, range(6)))
    assert hands(team) == {APPROVER: made}
    assert len(records(team, "delegation.set")) == 1


def test_a_vote_that_is_taken_back_while_it_is_used_was_used_before_or_not_at_all(team: Installation) -> None:
    for letter in "abcd":
        hand_on(team)
        proposal = team.proposed(letter * 64)

        def vote(proposal_id: str) -> bool:
            try:
                team.governance.decide(proposal_id, DEPUTY, "approve")
            except (NotEntitledError, ProposalClosedError):
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            used, revoked = pool.submit(vote, proposal.id), pool.submit(team.governance.revoke_delegation, APPROVER)
            revoked.result()
        assert decided(team, proposal) == ([(DEPUTY, APPROVER)] if used.result() else [])
        actions = [json.loads(body)["action"] for body in team.log()]
        last = [action for action in actions if action in {"decision.approve", "delegation.revoked"}][-2:]
        assert last[-1] == "delegation.revoked"
        assert (last[0] == "decision.approve") == used.result()
