"""Who is answered and whose feedback counts."""

import pytest

from governance.errors import NotEntitledError
from governance.people import is_answered
from storage.feedback import list_feedback
from storage.people import Standing, get_person
from tests.governance.installation import APPROVER, EXPERT, Installation

SOMEBODY = "T1/U_SOMEBODY"


@pytest.mark.parametrize(
    ("standing", "rules", "answered", "counts"),
    [
        ("member", {"guests": "ignore", "external": "ignore"}, True, True),
        ("guest", {}, True, False),
        ("guest", {"guests": "answer"}, True, True),
        ("guest", {"guests": "ignore"}, False, False),
        ("external", {}, False, False),
        ("external", {"external": "answer_no_feedback"}, True, False),
        ("external", {"external": "answer"}, True, True),
        ("bot", {}, False, False),
        ("bot", {"bots": "answer"}, True, False),
    ],
)
def test_the_policy_says_who_is_answered_and_whose_feedback_counts(
    sqlite_house: Installation,
    standing: Standing,
    rules: dict[str, object],
    answered: bool,  # noqa: FBT001
    counts: bool,  # noqa: FBT001
) -> None:
    sqlite_house.use_policy(people=rules)
    sqlite_house.meet(SOMEBODY, standing)

    with sqlite_house.database.read() as session:
        person = get_person(session, SOMEBODY)
    assert is_answered(sqlite_house.policy.people, person) == answered
    if counts:
        assert vote(sqlite_house) == "accepted"
    else:
        with pytest.raises(NotEntitledError, match="does not count here"):
            vote(sqlite_house)
        with sqlite_house.database.read() as session:
            assert list_feedback(session) == []


def vote(house: Installation) -> str:
    said = house.governance.record_feedback(
        workspace_id="T1", person_id=SOMEBODY, kind="up", question="Why?", answer="So.", source="slack"
    )
    return said.state


@pytest.mark.parametrize("standing", ["guest", "external", "bot"])
def test_who_is_no_member_decides_on_nothing_unless_the_policy_names_them(
    sqlite_house: Installation, standing: Standing
) -> None:
    sqlite_house.meet(SOMEBODY, standing)
    sqlite_house.use_policy(feedback={"corrections_need_review": True})
    waiting = sqlite_house.governance.record_feedback(
        workspace_id="T1", person_id=EXPERT, kind="correction", question="q", answer="a", text="b", source="slack"
    )
    proposal = sqlite_house.proposed().id
    rules = sqlite_house.governance

    for refusal in (
        rules.may_decide(proposal, SOMEBODY),
        rules.may_review(waiting.id, SOMEBODY),
        rules.may_start_training(SOMEBODY),
    ):
        assert "unless the policy names them" in refusal
    with pytest.raises(NotEntitledError, match="unless the policy names them"):
        rules.decide(proposal, SOMEBODY, "approve")

    sqlite_house.use_policy(approval={"approvers": [SOMEBODY, APPROVER]})
    assert sqlite_house.governance.may_start_training(SOMEBODY) == ""
