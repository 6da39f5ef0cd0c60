"""An approver's vote in somebody else's hands counts for a change of policy as it does for an adapter."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from governance.errors import AlreadyDecidedError, NotEntitledError
from governance.policy_changes import electorates_of, read_policy_case
from storage.policies import PolicyDecision, PolicyVersion, decisions_on_version, get_version, policy_decisions_by
from tests.governance.installation import APPROVER, EXPERT, OTHER, Installation
from tests.governance.test_delegation import DEPUTY, SECOND, hand_on, know, records
from tests.governance.test_policy_changes import LOOSE, OPERATOR, begin, changed, state

APPROVAL: dict[str, Any] = {"approvers": [APPROVER, SECOND], "quorum": 2, "delegation_days": 14}


def ruled(house: Installation, approval: dict[str, Any] = APPROVAL, hr: dict[str, Any] | None = None) -> Installation:
    """Put a policy in force in which approvers hand on their votes, in the domain hr too where that has its own."""
    know(house, SECOND, DEPUTY)
    house.use_policy(domains={"hr": {"approval": hr}} if hr else {})
    begin(house, approval=approval)
    return house


def proposed(house: Installation, proposed_by: str = OPERATOR) -> PolicyVersion:
    return house.governance.policies.propose(changed(house.policy, **LOOSE), proposed_by)


def approve(house: Installation, version: PolicyVersion, *people: str) -> Sequence[str]:
    policies = house.governance.policies
    return [policies.decide(version.id, person, "approve").message for person in people]


def decided(house: Installation, version: PolicyVersion) -> list[tuple[str, str | None]]:
    with house.database.read() as session:
        return [(each.person_id, each.on_behalf_of) for each in decisions_on_version(session, version.id)]


def test_a_delegate_approves_in_the_approvers_name_and_the_log_names_both(house: Installation) -> None:
    hand_on(ruled(house))
    version = proposed(house)
    said = approve(house, version, DEPUTY, SECOND)

    assert said == ["Your approval is recorded. Approvals missing: 1.", "Approved: the policy is in force now."]
    assert decided(house, version) == [(DEPUTY, APPROVER), (SECOND, None)]
    for_another, own = records(house, "policy_decision.approve")
    assert (for_another["actor"], for_another["digests"]["on_behalf_of"]) == (DEPUTY, APPROVER)
    assert (own["actor"], own["digests"].get("on_behalf_of")) == (SECOND, None)
    with house.database.read() as session:
        assert [each.version_id for each in policy_decisions_by(session, APPROVER)] == [version.id]
    assert house.audit.verify(house.database).verified


def test_a_delegate_rejects_too(house: Installation) -> None:
    hand_on(ruled(house))
    version = proposed(house)
    house.governance.policies.decide(version.id, DEPUTY, "reject", "guests talk")
    assert state(house, version) == "rejected"


@pytest.mark.parametrize(("first", "then"), [(DEPUTY, APPROVER), (APPROVER, DEPUTY), (DEPUTY, DEPUTY)])
def test_a_quorum_of_two_is_not_filled_with_one_vote_in_two_hands(house: Installation, first: str, then: str) -> None:
    hand_on(ruled(house))
    version = proposed(house)
    approve(house, version, first)

    assert "already" in house.governance.policies.may_decide(version.id, then)
    with pytest.raises(AlreadyDecidedError, match="already"):
        approve(house, version, then)
    assert (len(decided(house, version)), state(house, version)) == (1, "proposed")


@pytest.mark.parametrize(
    ("proposer", "says"), [(DEPUTY, "you proposed this policy"), (APPROVER, "whoever handed you their vote proposed")]
)
def test_neither_of_the_two_may_have_proposed_it(house: Installation, proposer: str, says: str) -> None:
    ruled(house, APPROVAL | {"quorum": 1})
    hand_on(house)
    version = proposed(house, proposer)
    assert says in house.governance.policies.may_decide(version.id, DEPUTY)
    with pytest.raises(NotEntitledError, match=says):
        approve(house, version, DEPUTY)


def test_what_was_decided_with_a_vote_stands_when_it_is_taken_back(house: Installation) -> None:
    hand_on(ruled(house))
    version = proposed(house)
    approve(house, version, DEPUTY)
    house.governance.revoke_delegation(APPROVER)
    approve(house, version, SECOND)
    assert state(house, version) == "in_force"


HR: dict[str, Any] = {"approvers": [EXPERT], "quorum": 1, "delegation_days": 14}


def test_a_vote_counts_in_the_domain_of_its_owner_beside_ones_own_in_another(house: Installation) -> None:
    """The deputy holds a vote of the default domain; Expert, who decides in hr, holds nobody's."""
    ruled(house, hr=HR)
    hand_on(house)
    version = proposed(house)
    assert approve(house, version, DEPUTY, SECOND)[-1] == "Your approval is recorded. Approvals missing: 1 in hr."
    approve(house, version, EXPERT)
    assert state(house, version) == "in_force"


def test_who_approves_in_one_domain_and_holds_a_vote_of_another_decides_once_for_both(house: Installation) -> None:
    ruled(house, hr=HR | {"approvers": [DEPUTY]})
    hand_on(house)
    version = proposed(house)
    assert approve(house, version, DEPUTY) == ["Your approval is recorded. Approvals missing: 1."]
    assert decided(house, version) == [(DEPUTY, APPROVER)]
    approve(house, version, SECOND)
    assert state(house, version) == "in_force"


def test_a_vote_that_is_used_or_may_not_be_leaves_whoever_holds_it_their_own(house: Installation) -> None:
    ruled(house, hr=HR | {"approvers": [DEPUTY]})
    hand_on(house)
    used, own = proposed(house), proposed_by_owner(house)
    approve(house, used, APPROVER, DEPUTY)
    approve(house, own, DEPUTY)
    assert decided(house, used) == [(APPROVER, None), (DEPUTY, None)]
    assert decided(house, own) == [(DEPUTY, None)]
    with house.database.read() as session:
        assert read_policy_case(session, get_version(session, own.id)).ballot.missing == {"default": 2}


def proposed_by_owner(house: Installation) -> PolicyVersion:
    """Have the proposal be the vote's owner's, which the rules refuse as long as they are needed for the quorum."""
    wanted = changed(house.policy, people={"bots": "answer"}, approval={"approvers": [APPROVER, SECOND, OTHER]})
    version = house.governance.policies.propose(wanted, OPERATOR)
    with house.database.transaction() as session:
        found = get_version(session, version.id)
        found.proposed_by = APPROVER
        session.add(found)
    return version


def test_a_vote_is_held_for_as_long_as_every_domain_of_its_owner_has_it(house: Installation) -> None:
    ruled(house, hr=HR | {"approvers": [APPROVER, EXPERT]})
    hand_on(house, days=14)
    house.use_policy(domains={"hr": {"approval": HR | {"approvers": [APPROVER, EXPERT], "delegation_days": 3}}})
    shorter = house.governance.policies.propose(house.policy, OPERATOR)
    approve(house, shorter, APPROVER, SECOND)
    version = proposed(house)
    assert house.governance.policies.may_decide(version.id, DEPUTY) == ""
    house.clock.advance(days=3)
    assert "does not name you as an approver" in house.governance.policies.may_decide(version.id, DEPUTY)


def test_whoever_can_decide_for_somebody_is_named_until_either_has(house: Installation) -> None:
    hand_on(ruled(house))
    version = proposed(house)

    def named() -> dict[str, tuple[list[str], list[str]]]:
        with house.database.read() as session:
            case = read_policy_case(session, get_version(session, version.id))
            found = electorates_of(session, case, house.clock())
        return {domain: (each.named, [held.delegate for held in each.delegations]) for domain, each in found.items()}

    assert named() == {"default": ([APPROVER, SECOND], [DEPUTY])}
    approve(house, version, DEPUTY)
    assert named() == {"default": ([SECOND], [])}


def test_an_approver_and_their_delegate_who_decide_at_once_are_one_vote(house: Installation) -> None:
    hand_on(ruled(house))
    version = proposed(house)

    def vote(person: str) -> str:
        try:
            return house.governance.policies.decide(version.id, person, "approve").version.state
        except AlreadyDecidedError:
            return "already"

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(vote, [APPROVER, DEPUTY] * 3)) == ["already"] * 5 + ["proposed"]
    assert len(decided(house, version)) == 1


def test_the_database_itself_refuses_a_second_vote_in_the_same_name(house: Installation) -> None:
    version = proposed(ruled(house))
    both = [
        PolicyDecision(
            id=person, version_id=version.id, person_id=person, on_behalf_of=APPROVER, verdict="approve",
            created_at=house.clock(),
        )
        for person in (DEPUTY, OTHER)
    ]  # fmt: skip
    with pytest.raises(IntegrityError), house.database.transaction() as session:
        session.add_all(both)
