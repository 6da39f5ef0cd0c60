"""Who can still decide on a proposal, which the rules that refuse a decision must agree with."""

import pytest

from governance.approvals import Electorate
from governance.user_groups import read_groups
from storage.proposals import decisions_on, get_proposal
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation

EVERYBODY = (STARTER, EXPERT, APPROVER, OTHER)


def electorate(house: Installation, proposal_id: str) -> Electorate:
    with house.database.read() as session:
        proposal = get_proposal(session, proposal_id)
        groups = read_groups(session, house.clock())
        return Electorate.of(house.policy, proposal, decisions_on(session, proposal_id), groups)


@pytest.mark.parametrize("approvers", [["*"], ["U_STARTER", "U_EXPERT", APPROVER, "U_OTHER"], ["U_EXPERT", "*"]])
def test_it_names_those_whom_the_rules_let_decide(sqlite_house: Installation, approvers: list[str]) -> None:
    sqlite_house.use_policy(approval={"approvers": approvers, "quorum": 2})
    proposal = sqlite_house.proposed()
    for decided in ([], [APPROVER]):
        for person in decided:
            sqlite_house.governance.decide(proposal.id, person, "approve")
        found = electorate(sqlite_house, proposal.id)
        can = {
            person
            for person in EVERYBODY
            if {person, person.partition("/")[2]} & set(found.named) or (found.anybody and person not in found.excluded)
        }
        assert can == {each for each in EVERYBODY if not sqlite_house.governance.may_decide(proposal.id, each)}


def test_it_can_be_empty(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(approval={"approvers": ["U_STARTER", "U_EXPERT"]})
    found = electorate(sqlite_house, sqlite_house.proposed().id)

    assert (found.named, found.anybody) == ([], False)
