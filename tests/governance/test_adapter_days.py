"""What adapters did on each day is counted once, counted again when votes come late, and outlives the answers."""

from datetime import date

from sqlmodel import delete

from storage.adapter_days import AdapterDay, adapter_days, keep_days
from storage.interactions import Interaction
from storage.shadows import AnswerFailure
from tests.governance.installation import APPROVER, EXPERT, Installation
from tests.governance.test_watching import answer, say

NEW = "b" * 64


def kept(house: Installation, digest: str | None = NEW) -> list[AdapterDay]:
    with house.database.transaction() as session:
        keep_days(session, house.clock())
    with house.database.read() as session:
        return list(adapter_days(session, digest))


def test_a_day_has_answers_verdicts_failures_and_times(house: Installation) -> None:
    house.live(NEW)
    first, *_ = [answer(house, NEW, number, seconds=float(number + 1)) for number in range(20)]
    answer(house, NEW, 20, how="accepted")  # no model's
    for person, kind in ((EXPERT, "up"), (EXPERT, "down"), (APPROVER, "up"), (EXPERT, "correction")):
        say(house, first, person, kind)
    with house.database.transaction() as session:
        session.add(AnswerFailure(id="1", adapter_digest=NEW, domain="default", error="?", created_at=house.clock()))
    house.clock.advance(days=1)
    say(house, answer(house, NEW, 21), EXPERT, "up")
    answer(house, None, 22)

    one, other = kept(house)
    assert (one.day, one.answers, one.up, one.down, one.corrected, one.failed) == (date(2026, 1, 1), 20, 1, 1, 1, 1)
    assert (one.seconds_p50, one.seconds_p95, one.first_token_p95) == (10.0, 19.0, 9.5)
    assert (other.day, other.answers, other.up) == (date(2026, 1, 2), 1, 1)
    assert [day.answers for day in kept(house, None)] == [1]
    assert kept(house) == [one, other]


def test_a_late_vote_is_counted_on_the_day_of_its_answer_and_an_erased_answer_stays_counted(
    house: Installation,
) -> None:
    house.live(NEW)
    about = answer(house, NEW, 1)
    assert [day.down for day in kept(house)] == [0]
    house.clock.advance(days=3)
    say(house, about, EXPERT, "down")
    assert [(day.day, day.down) for day in kept(house)] == [(date(2026, 1, 1), 1)]

    answer(house, NEW, 2)
    with house.database.transaction() as session:
        session.exec(delete(Interaction).where(Interaction.id == f"qa_{NEW}_default_2"))  # type: ignore[arg-type]
    house.clock.advance(days=60)
    assert [day.answers for day in kept(house)] == [1]
