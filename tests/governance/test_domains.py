"""Domains that the policy names have adapters, approvals, canaries and rollbacks of their own."""

import pytest

from governance.errors import NotEntitledError
from storage.adapters import canary_adapter
from storage.domains import DEFAULT_DOMAIN
from storage.errors import IllegalStateError
from tests.governance.installation import APPROVER, BAD, EXPERT, OTHER, Installation
from tests.governance.test_watching import WATCH, judged

ALL, HR, NEWER = "a" * 64, "b" * 64, "c" * 64
RULES = {
    "approval": {"approvers": [OTHER, EXPERT], "quorum": 2},
    "rollout": {"canary_share": 0.2, "canary_hours": 24.0},
    "rollback": WATCH,
}


@pytest.fixture
def divided(house: Installation) -> Installation:
    """The domain hr has rules of its own, and an adapter answers everything."""
    house.use_policy(domains={"hr": {}})
    house.live(ALL)
    return house


def test_each_domain_has_a_serving_adapter_and_one_goes_live_beside_the_other(divided: Installation) -> None:
    divided.live(HR, "hr")

    assert (divided.serving(), divided.serving("hr")) == (ALL, HR)
    divided.live(NEWER, "hr")
    assert (divided.serving(), divided.serving("hr")) == (ALL, NEWER)
    assert divided.adapter(HR).state == "retired"


def test_who_decides_and_how_many_are_needed_is_what_the_domain_says(divided: Installation) -> None:
    divided.use_policy(domains={"hr": RULES})
    proposal = divided.proposed(HR, shares={}, domain="hr")

    with pytest.raises(NotEntitledError, match="does not name you as an approver"):
        divided.governance.decide(proposal.id, APPROVER, "approve")
    assert divided.governance.decide(proposal.id, OTHER, "approve").missing == 1
    divided.governance.decide(proposal.id, EXPERT, "approve")

    with divided.database.read() as session:
        found = canary_adapter(session, "hr")
    assert found is not None
    assert found.digest == HR
    assert divided.serving() == ALL
    elsewhere = divided.governance.decide(divided.proposed(NEWER, shares={}).id, APPROVER, "approve")
    assert elsewhere.promoted


def test_the_gates_of_a_domain_judge_its_adapters_alone(house: Installation) -> None:
    house.use_policy(domains={"hr": {"gates": {"as_told": {"at_least": 0.5}}}})

    house.evaluated(HR, BAD, domain="hr")
    house.evaluated(ALL, BAD)

    assert (house.adapter(HR).state, house.adapter(ALL).state) == ("evaluated", "rejected")
    assert [gate["name"] for gate in house.adapter(HR).gates] == ["as_told"]


def test_a_canary_is_one_of_its_domain_and_its_time_ends_by_itself(divided: Installation) -> None:
    divided.use_policy(domains={"hr": {"rollout": {"canary_share": 0.2, "canary_hours": 24.0}}})
    divided.live(HR, "hr")
    assert divided.serving("hr") is None

    divided.clock.advance(hours=24)
    divided.governance.advance_rollout()

    assert (divided.serving(), divided.serving("hr")) == (ALL, HR)


def test_a_rollback_takes_out_what_the_named_domain_has_and_nothing_else(divided: Installation) -> None:
    divided.live(HR, "hr")
    divided.live(NEWER, "hr")

    first = divided.governance.rollback("operator:kim", "it rambles", "hr")
    assert first is not None
    assert (first.digest, divided.serving(), divided.serving("hr")) == (HR, ALL, HR)

    second = divided.governance.rollback("operator:kim", "it rambles", "hr")
    assert second is not None
    assert (second.digest, divided.serving(), divided.serving("hr")) == (ALL, ALL, None)
    assert divided.adapter(ALL).state == "serving"
    with pytest.raises(IllegalStateError, match="the domain hr has no adapter of its own"):
        divided.governance.rollback("operator:kim", "it rambles", "hr")


def test_one_that_is_judged_worse_in_its_domain_goes_and_what_answered_there_before_answers_again(
    divided: Installation,
) -> None:
    divided.use_policy(domains={"hr": {"rollback": WATCH}})
    judged(divided, ALL, "u" * 18 + "dc", domain="hr")
    judged(divided, ALL, "d" * 40)  # elsewhere it answers badly, which says nothing of hr
    divided.live(HR, "hr")
    judged(divided, HR, "d" * 12, domain="hr")

    reason = divided.governance.take_out_if_worse()

    assert "of the 20 without it, 2 (10%)" in reason
    assert (divided.serving(), divided.serving("hr")) == (ALL, None)
    assert divided.adapter(HR).state == "rolled_back"


def test_the_policy_says_which_domains_there_are(divided: Installation) -> None:
    assert [divided.policy.domain_of(label) for label in ("hr", "it", DEFAULT_DOMAIN)] == ["hr", "default", "default"]
