"""An approved adapter answers a share of the people first, where the policy says so."""

import pytest
from sqlalchemy.exc import IntegrityError

from storage.adapters import Adapter, canary_adapter
from storage.errors import IllegalStateError
from tests.governance.installation import APPROVER, Installation
from tests.governance.test_watching import WATCH, judged

OLD, NEW, NEWER = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def in_rollout(house: Installation) -> Installation:
    """The old adapter answers, and the new one is a canary."""
    house.live(OLD)
    house.use_policy(rollout={"canary_share": 0.2, "canary_hours": 24.0}, rollback=WATCH)
    house.live(NEW)
    return house


def canary(house: Installation) -> str | None:
    with house.database.read() as session:
        found = canary_adapter(session)
    return found.digest if found else None


def test_an_approval_begins_a_canary_and_the_old_adapter_goes_on(in_rollout: Installation) -> None:
    assert (canary(in_rollout), in_rollout.serving()) == (NEW, OLD)
    assert in_rollout.adapter(OLD).state == "serving"


def test_it_answers_everybody_when_its_time_is_over_and_not_before(in_rollout: Installation) -> None:
    in_rollout.clock.advance(hours=23)
    in_rollout.governance.advance_rollout()
    assert (canary(in_rollout), in_rollout.serving()) == (NEW, OLD)

    in_rollout.clock.advance(hours=1)
    for _ in range(2):
        in_rollout.governance.advance_rollout()

    assert (canary(in_rollout), in_rollout.serving()) == (None, NEW)
    assert in_rollout.adapter(OLD).state == "retired"
    served = [body for body in in_rollout.log() if '"action":"adapter.serving"' in body and NEW in body]
    assert len(served) == 1
    assert '"actor":"system"' in served[0]


def test_a_rollback_takes_the_canary_out_and_the_old_adapter_goes_on(in_rollout: Installation) -> None:
    left = in_rollout.governance.rollback("operator:kim", "it rambles")

    assert left is not None
    assert (left.digest, canary(in_rollout), in_rollout.serving()) == (OLD, None, OLD)
    assert in_rollout.adapter(NEW).state == "rolled_back"
    in_rollout.clock.advance(hours=48)
    in_rollout.governance.advance_rollout()
    assert in_rollout.serving() == OLD


def test_one_that_is_judged_worse_than_what_others_get_meanwhile_is_taken_out(in_rollout: Installation) -> None:
    judged(in_rollout, OLD, "u" * 18 + "dc")
    judged(in_rollout, NEW, "d" * 12)

    reason = in_rollout.governance.take_out_if_worse()

    assert "12 (100%) were voted down" in reason
    assert "of the 20 without it, 2 (10%)" in reason
    assert (canary(in_rollout), in_rollout.serving(), in_rollout.adapter(NEW).state) == (None, OLD, "rolled_back")


def test_answers_from_before_the_canary_say_nothing_of_it(house: Installation) -> None:
    house.live(OLD)
    judged(house, OLD, "d" * 12)
    house.use_policy(rollout={"canary_share": 0.2}, rollback=WATCH)
    house.live(NEW)
    judged(house, NEW, "u" * 12)

    assert house.governance.take_out_if_worse() == ""


def test_a_newer_adapter_takes_the_place_of_the_canary(in_rollout: Installation) -> None:
    in_rollout.live(NEWER)

    assert (canary(in_rollout), in_rollout.serving(), in_rollout.adapter(NEW).state) == (NEWER, OLD, "rolled_back")


def test_the_database_itself_allows_one_canary(in_rollout: Installation) -> None:
    with pytest.raises(IntegrityError), in_rollout.database.transaction() as session:
        session.add(Adapter(digest=NEWER, state="canary", base_digest="base", created_at=in_rollout.clock()))


def test_the_first_adapter_is_a_canary_beside_the_base_model(house: Installation) -> None:
    house.use_policy(rollout={"canary_share": 0.5})
    outcome = house.governance.decide(house.proposed(NEW).id, APPROVER, "approve")

    assert not outcome.promoted
    assert (canary(house), house.serving()) == (NEW, None)
    assert house.governance.rollback("operator:kim", "no") is None
    with pytest.raises(IllegalStateError, match="nothing to roll back to"):
        house.governance.rollback("operator:kim", "again")


def test_what_serves_is_taken_out_by_its_name_while_a_newer_one_is_a_canary(in_rollout: Installation) -> None:
    assert in_rollout.governance.rollback("operator:kim", "wrong limits", adapter_digest=OLD) is None
    assert (canary(in_rollout), in_rollout.serving()) == (NEW, None)

    in_rollout.clock.advance(hours=24)
    in_rollout.governance.advance_rollout()
    assert in_rollout.serving() == NEW
