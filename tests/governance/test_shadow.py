"""An approved adapter answers in shadow first where the policy says so; what fails or is slow does not go live."""

import pytest
from sqlalchemy.exc import IntegrityError

from storage.adapters import canary_adapter, find_adapter, shadow_adapter
from storage.shadows import AnswerFailure, ShadowAnswer
from tests.governance.installation import Installation
from tests.governance.test_watching import WATCH, answer

OLD, NEW, NEWER = "a" * 64, "b" * 64, "c" * 64
RULES = WATCH | {"slow_seconds": 5.0}


@pytest.fixture
def in_shadow(house: Installation) -> Installation:
    """The old adapter answers, and the new one is in shadow."""
    house.live(OLD)
    house.use_policy(rollout={"shadow_share": 0.5, "shadow_hours": 24.0, "canary_share": 0.2}, rollback=RULES)
    house.live(NEW)
    return house


def stages(house: Installation) -> dict[str, str | None]:
    with house.database.read() as session:
        found = {"shadow": shadow_adapter(session), "canary": canary_adapter(session)}
    return {name: adapter.digest if adapter else None for name, adapter in found.items()} | {"serving": house.serving()}


def shadowed(house: Installation, digest: str, took: list[float | None]) -> None:
    """Let the old adapter answer in a second, and one in shadow in so many seconds (None: not at all)."""
    for number, seconds in enumerate(took):
        about = answer(house, OLD, number, seconds=1.0)
        outcome = {"error": "no room"} if seconds is None else {"answer": "b", "usage": {"seconds": seconds}}
        with house.database.transaction() as session:
            session.add(ShadowAnswer(interaction_id=about, adapter_digest=digest, created_at=house.clock(), **outcome))


def test_it_is_in_shadow_then_a_canary_then_it_serves(in_shadow: Installation) -> None:
    found = [stages(in_shadow)]
    for _ in range(3):
        in_shadow.clock.advance(hours=24)
        for _ in range(2):
            in_shadow.governance.advance_rollout()
        found.append(stages(in_shadow))
    assert found == [
        {"shadow": NEW, "canary": None, "serving": OLD},
        {"shadow": None, "canary": NEW, "serving": OLD},
        {"shadow": None, "canary": None, "serving": NEW},
        {"shadow": None, "canary": None, "serving": NEW},
    ]


def test_without_a_canary_it_serves_when_its_time_in_shadow_is_over(house: Installation) -> None:
    house.use_policy(rollout={"shadow_share": 1.0, "shadow_hours": 1.0})
    house.live(NEW)
    assert stages(house) == {"shadow": NEW, "canary": None, "serving": None}
    house.clock.advance(hours=1)
    house.governance.advance_rollout()
    assert house.serving() == NEW


@pytest.mark.parametrize(
    ("took", "why"),
    [
        ([None] * 12, "Of the 12 questions put to this adapter, 12 (100%) could not be answered; of the 12 without it"),
        (
            [9.0] * 12,
            "Of the 12 questions put to this adapter, 12 (100%) took longer than 5 s; of the 12 without it, 0",
        ),
    ],
    ids=["fails", "is slow"],
)
def test_one_that_fails_or_is_slow_where_the_other_one_was_not_is_taken_out(
    in_shadow: Installation, took: list[float | None], why: str
) -> None:
    shadowed(in_shadow, NEW, took)
    assert why in in_shadow.governance.take_out_if_worse()
    assert stages(in_shadow) == {"shadow": None, "canary": None, "serving": OLD}
    assert in_shadow.adapter(NEW).state == "rolled_back"


@pytest.mark.parametrize("took", [[1.0] * 40, [9.0] * 3, [9.0, None, *[1.0] * 30], []])
def test_one_of_which_that_is_not_shown_goes_on(in_shadow: Installation, took: list[float | None]) -> None:
    shadowed(in_shadow, NEW, took)
    assert in_shadow.governance.take_out_if_worse() == ""
    assert stages(in_shadow)["shadow"] == NEW


def test_a_rollback_or_a_newer_approval_takes_it_out(in_shadow: Installation) -> None:
    in_shadow.live(NEWER)
    assert in_shadow.adapter(NEW).state == "rolled_back"
    restored = in_shadow.governance.rollback("operator:kim", "not yet")
    assert restored is not None
    assert restored.digest == OLD
    assert stages(in_shadow) == {"shadow": None, "canary": None, "serving": OLD}


def test_failures_of_one_that_serves_take_it_out_too(house: Installation) -> None:
    house.use_policy(rollback=RULES)
    house.live(OLD)
    for number in range(20):
        answer(house, OLD, number, seconds=1.0)
    house.live(NEW)
    for number in range(12):
        with house.database.transaction() as session:
            session.add(
                AnswerFailure(id=str(number), adapter_digest=NEW, domain="default", error="?", created_at=house.clock())
            )
    assert "12 (100%) could not be answered; of the 20 without it, 0 (0%)" in house.governance.take_out_if_worse()
    assert house.serving() == OLD


def test_answers_that_somebody_stopped_count_neither_as_fast_nor_as_slow(house: Installation) -> None:
    house.use_policy(rollback=RULES)
    house.live(OLD)
    for number in range(20):
        answer(house, OLD, number, seconds=1.0)
    house.live(NEW)
    for number in range(40):
        answer(house, NEW, number, seconds=9.0 if number < 12 else None)
    assert "12 (100%) took longer than 5 s; of the 20 without it, 0 (0%)" in house.governance.take_out_if_worse()
    assert house.serving() == OLD


def test_the_database_itself_refuses_a_second_adapter_in_shadow(in_shadow: Installation) -> None:
    in_shadow.evaluated(NEWER)

    def put_a_second_into_shadow() -> None:
        with in_shadow.database.transaction() as session:
            found = find_adapter(session, NEWER)
            found.state = "approved"
            session.add(found)

    with pytest.raises(IntegrityError):
        put_a_second_into_shadow()
    assert stages(in_shadow)["shadow"] == NEW
