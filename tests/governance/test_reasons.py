"""Reasons are kept as they were given, up to a length; what is refused changes nothing."""

from collections.abc import Callable

import pytest

from governance.audit import text_digest
from governance.errors import ReasonTooLongError
from governance.reasons import MAX_REASON_LENGTH
from storage.proposals import decisions_on
from tests.governance.installation import APPROVER, EXPERT, Installation

LONGEST = "ü" * MAX_REASON_LENGTH


def reject(house: Installation, reason: str) -> None:
    house.governance.decide(house.proposed().id, APPROVER, "reject", reason)


def approve(house: Installation, reason: str) -> None:
    house.governance.decide(house.proposed().id, APPROVER, "approve", reason)


def roll_back(house: Installation, reason: str) -> None:
    house.live("b" * 64)
    house.governance.rollback("operator:kim", reason)


def decline(house: Installation, reason: str) -> None:
    house.use_policy(feedback={"corrections_need_review": True})
    waiting = house.governance.record_feedback(
        workspace_id="T1", person_id=EXPERT, kind="correction", question="q", answer="a", text="b", source="modal"
    )
    house.governance.review_feedback(waiting.id, APPROVER, accept=False, reason=reason)


@pytest.mark.parametrize(
    ("act", "record"),
    [
        (reject, "decision.reject"),
        (approve, "decision.approve"),
        (roll_back, "adapter.rolled_back"),
        (decline, "feedback.declined"),
    ],
)
def test_a_reason_that_is_too_long_is_refused_and_nothing_is_done(
    sqlite_house: Installation, act: Callable[[Installation, str], None], record: str
) -> None:
    with pytest.raises(ReasonTooLongError, match=r"1,001 characters; at most 1,000 are kept\. Shorten it\."):
        act(sqlite_house, LONGEST + "x")
    assert record not in "".join(sqlite_house.log())


@pytest.mark.parametrize("act", [reject, approve, roll_back, decline])
def test_the_longest_reason_is_taken(house: Installation, act: Callable[[Installation, str], None]) -> None:
    act(house, f"  {LONGEST}\n")
    assert text_digest(LONGEST) in "".join(house.log())


def test_what_the_database_cannot_keep_is_left_out_of_a_reason(house: Installation) -> None:
    proposal = house.proposed()
    house.governance.decide(proposal.id, APPROVER, "reject", " wrong\x00 \ud800amount ")
    with house.database.read() as session:
        assert [decision.reason for decision in decisions_on(session, proposal.id)] == ["wrong ?amount"]
