"""How past adapters would have fared under another policy."""

from dataclasses import replace

import pytest

from governance.policy import Policy, load_policy
from governance.policy_simulation import simulate
from governance.user_groups import UserGroups
from storage.proposals import decisions_on
from tests.governance.installation import APPROVER, EXPERT, GOOD, OTHER, Installation

NEW = "b" * 64


def under(house: Installation, **sections: dict[str, object]) -> tuple[str, str]:
    content = load_policy().model_dump()
    for name, changes in sections.items():
        content[name] |= changes
    with house.database.read() as session:
        adapter = house.adapter(NEW)
        proposal = house.proposal_of(NEW)
        decisions = decisions_on(session, proposal.id) if proposal else []
    seen = simulate(Policy.model_validate(content), adapter, GOOD, proposal, decisions, UserGroups())
    return seen.outcome, seen.why


def test_under_the_same_policy_it_is_what_it_was(house: Installation) -> None:
    house.live(NEW)
    assert under(house)[0] == "approved"


@pytest.mark.parametrize(
    ("sections", "outcome", "why"),
    [
        ({"gates": {"as_told": {"at_least": 1.1}}}, "rejected by its gates", "as_told is 1.00"),
        ({"gates": {"preferred": {"at_least": 0.5}}}, "approved", "1 of 1 decisions count"),
        ({"approval": {"quorum": 2}}, "not enough approvals", "1 of 1 decisions count, 2 approvals are needed."),
        (
            {"approval": {"approvers": [OTHER]}},
            "not enough approvals",
            f"0 of 1 decisions count, 1 approvals are needed. Not counted is {APPROVER}: the policy",
        ),
    ],
)
def test_another_policy_would_have_decided_otherwise(
    house: Installation, sections: dict[str, dict[str, object]], outcome: str, why: str
) -> None:
    house.live(NEW)
    found = under(house, **sections)
    assert found[0] == outcome
    assert why in found[1]


def test_a_rejection_counts_only_of_those_who_might_decide(house: Installation) -> None:
    proposal = house.proposed(NEW, shares={})
    house.governance.decide(proposal.id, EXPERT, "reject", "it rambles")
    assert under(house)[0] == "rejected"
    assert under(house, approval={"approvers": [OTHER]})[0] == "not enough approvals"


def test_one_that_was_never_proposed_was_decided_on_by_nobody(house: Installation) -> None:
    house.evaluated(NEW)
    assert under(house) == ("not enough approvals", "it was never proposed, so nobody decided.")


def test_an_undecided_gate_does_what_the_other_policy_says(house: Installation) -> None:
    house.live(NEW)
    few = {name: replace(metric, n=2) for name, metric in GOOD.items()}
    strict = load_policy().model_copy(
        update={"evidence": load_policy().evidence.model_copy(update={"undecided": "reject"})}
    )
    seen = simulate(strict, house.adapter(NEW), few, None, [], UserGroups())
    assert seen.outcome == "rejected by its gates"
    assert "not enough evidence" in seen.why
