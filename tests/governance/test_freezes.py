"""Nothing goes live in a freeze; what was approved waits until it is over, and can be taken out before."""

from datetime import UTC, datetime

import pytest

from governance.freezes import check_window, frozen_until
from tests.governance.installation import APPROVER, Installation

OLD, NEW = "a" * 64, "b" * 64
WEEKEND, YEAR_END = "fri 16:00..mon 07:00", "2026-12-20..2027-01-02"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-11-27T15:59", None),  # a Friday
        ("2026-11-27T16:00", "2026-11-30T07:00"),
        ("2026-11-29T03:00", "2026-11-30T07:00"),
        ("2026-11-30T06:59", "2026-11-30T07:00"),
        ("2026-11-30T07:00", None),
        ("2026-12-20T00:00", "2027-01-04T07:00"),  # the year's end, and the weekend that follows it
        ("2026-12-28T12:00", "2027-01-04T07:00"),
        ("2027-01-04T07:00", None),
    ],
)
def test_windows_of_days_and_of_each_week_hold_and_those_that_follow_each_other_are_one(
    now: str, until: str | None
) -> None:
    assert frozen_until([WEEKEND, YEAR_END], at(now)) == (at(until) if until else None)


@pytest.mark.parametrize(
    ("window", "says"),
    [
        ("weekend", "a freeze is written as"),
        ("2026-12-20..2026-12-01", "ends before it begins"),
        ("fri 16:00..fri 16:00", "has no length"),
        ("2026-13-01..2026-13-02", "month"),
        ("fri 25:00..mon 07:00", "hour"),
    ],
)
def test_what_is_no_window_is_refused(window: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_window(window)


@pytest.fixture
def frozen(house: Installation) -> Installation:
    """The old adapter answers; it is the first of January 2026, a Thursday, and nothing goes live until Saturday."""
    house.live(OLD)
    house.use_policy(rollout={"freeze": ("2026-01-01..2026-01-02",)})
    return house


def test_what_is_approved_in_a_freeze_goes_live_when_it_is_over(frozen: Installation) -> None:
    outcome = frozen.governance.decide(frozen.proposed(NEW).id, APPROVER, "approve")

    assert not outcome.promoted
    assert outcome.message == "Approved: the adapter goes live when the freeze is over, at 2026-01-03 00:00 UTC."
    frozen.governance.advance_rollout()
    assert (frozen.serving(), frozen.adapter(NEW).state) == (OLD, "approved")

    frozen.clock.advance(days=2)
    frozen.governance.advance_rollout()
    assert frozen.serving() == NEW


def test_the_stages_of_its_rollout_begin_when_it_is_over(frozen: Installation) -> None:
    frozen.use_policy(rollout={"shadow_share": 0.5, "shadow_hours": 24.0})
    frozen.live(NEW)
    assert frozen.adapter(NEW).shadow_since is None
    frozen.clock.advance(days=2)
    frozen.governance.advance_rollout()
    assert (frozen.adapter(NEW).state, frozen.serving()) == ("approved", OLD)
    assert frozen.adapter(NEW).shadow_since is not None
    frozen.clock.advance(days=1)
    frozen.governance.advance_rollout()
    assert frozen.serving() == NEW


def test_it_can_be_withdrawn_before_it_goes_live_and_a_rollback_is_possible_at_any_time(frozen: Installation) -> None:
    frozen.live(NEW)
    frozen.governance.rollback("operator:kim", "second thoughts")
    assert (frozen.adapter(NEW).state, frozen.serving()) == ("rolled_back", OLD)
    frozen.governance.rollback("operator:kim", "the other one too")
    assert frozen.serving() is None
    frozen.clock.advance(days=9)
    frozen.governance.advance_rollout()
    assert frozen.serving() is None
