"""An adapter that people judge worse than the one before it is taken out by the policy's rules, and no other one."""

from datetime import timedelta

import pytest

from storage.domains import DEFAULT_DOMAIN
from storage.figures import count_answers
from storage.interactions import Interaction
from storage.rollbacks import rollbacks_since
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation

OLD, NEW = "a" * 64, "b" * 64
PEOPLE = (STARTER, EXPERT, APPROVER)
WATCH = {"automatic": True, "margin": 0.05, "alpha": 0.01, "min_answers": 10, "min_people": 3, "watch_days": 14}


def answer(
    house: Installation,
    digest: str | None,
    number: int,
    how: str = "model",
    domain: str = DEFAULT_DOMAIN,
    seconds: float | None = 0.5,
) -> str:
    """Let an adapter answer a question; return the answer's id."""
    row = Interaction(
        id=f"qa_{digest}_{domain}_{number}", workspace_id="T1", channel="C", thread_ts="1", question_ts=str(number),
        answer_ts=str(number), asker_id=OTHER, question="q", answer="a", adapter_digest=digest, base_digest="base",
        prompt_digest="p", usage={"seconds": seconds, "seconds_to_first_token": seconds / 2} if seconds else {},
        source={"how": how, "domain": domain}, created_at=house.clock(),
    )  # fmt: skip
    with house.database.transaction() as session:
        session.add(row)
    return row.id


def say(house: Installation, about: str, person: str, kind: str) -> str:
    return house.governance.record_feedback(
        workspace_id="T1", person_id=person, kind=kind, question="q", answer="a", source="slack",  # type: ignore[arg-type]
        text="right" if kind == "correction" else "", interaction_id=about,
    ).id  # fmt: skip


def judged(
    house: Installation,
    digest: str | None,
    verdicts: str,
    people: tuple[str, ...] = PEOPLE,
    domain: str = DEFAULT_DOMAIN,
) -> None:
    """Let an adapter give an answer for each verdict: u(p), d(own) or c(orrected), by each of these people in turn."""
    kinds = {"u": "up", "d": "down", "c": "correction"}
    for number, verdict in enumerate(verdicts):
        say(house, answer(house, digest, number, domain=domain), people[number % len(people)], kinds[verdict])


@pytest.fixture
def watched(house: Installation) -> Installation:
    """The old adapter answered well for a while, then the new one went live."""
    house.use_policy(rollback=WATCH)
    house.live(OLD)
    judged(house, OLD, "u" * 18 + "dc")
    house.live(NEW)
    return house


@pytest.mark.parametrize("bad", ["d" * 12, "c" * 12, "dcdcdcdcdcdcu"])
def test_one_that_is_judged_much_worse_goes_and_the_one_before_it_answers_again(
    watched: Installation, bad: str
) -> None:
    judged(watched, NEW, bad)

    reason = watched.governance.take_out_if_worse()

    assert watched.serving() == OLD
    assert watched.adapter(NEW).state == "rolled_back"
    assert f"Of the {len(bad)} answers of this adapter that people judged, 12 (" in reason
    assert "of the 20 without it, 2 (10%)" in reason
    with watched.database.read() as session:
        (kept,) = rollbacks_since(session, watched.clock() - timedelta(hours=1))
    assert (kept.adapter_digest, kept.restored_digest, kept.actor, kept.reason) == (NEW, OLD, "system", reason)
    worked = {"answered": len(bad), "timed": len(bad), "slow": 0, "failed": 0}
    assert kept.figures["new"] == {"answers": len(bad), "bad": 12, "people": 3, "worked": worked}
    assert any('"action":"adapter.rolled_back"' in body and '"actor":"system"' in body for body in watched.log())


@pytest.mark.parametrize(
    ("verdicts", "people"),
    [
        ("u" * 18 + "dc", PEOPLE),
        ("d" * 5, PEOPLE),
        ("d" * 12, (STARTER, EXPERT)),
        ("uuuuuuduuddu", PEOPLE),
        ("", PEOPLE),
    ],
    ids=["as good", "few answers", "two loud people", "a little worse", "nothing said"],
)
def test_one_of_which_that_is_not_shown_stays(watched: Installation, verdicts: str, people: tuple[str, ...]) -> None:
    judged(watched, NEW, verdicts, people)

    assert watched.governance.take_out_if_worse() == ""
    assert watched.serving() == NEW


def test_a_policy_that_leaves_it_to_people_takes_nothing_out(watched: Installation) -> None:
    judged(watched, NEW, "d" * 12)
    watched.use_policy(rollback=WATCH | {"automatic": False})

    assert watched.governance.take_out_if_worse() == ""
    assert watched.serving() == NEW


def test_the_watch_ends(watched: Installation) -> None:
    watched.clock.advance(days=15)
    judged(watched, NEW, "d" * 12)

    assert watched.governance.take_out_if_worse() == ""


def test_votes_that_were_taken_back_or_changed_do_not_count(watched: Installation) -> None:
    for number in range(12):
        about, person = answer(watched, NEW, number), PEOPLE[number % 3]
        vote = say(watched, about, person, "down")
        if number % 2:
            watched.governance.withdraw_feedback(vote, person)
        else:
            say(watched, about, person, "up")

    assert watched.governance.take_out_if_worse() == ""
    assert watched.serving() == NEW


def test_the_first_adapter_is_compared_with_the_model_itself_without_corrections_that_were_given_as_they_are(
    house: Installation,
) -> None:
    house.use_policy(rollback=WATCH)
    judged(house, None, "u" * 18 + "dc")
    for number in range(20, 40):
        say(house, answer(house, None, number, how="accepted" if number % 2 else "quoted"), STARTER, "down")
    house.live(NEW)
    judged(house, NEW, "d" * 12)

    with house.database.read() as session:
        assert (count_answers(session, None), count_answers(session, NEW)) == (20, 12)
    assert "of the 20 without it, 2 (10%)" in house.governance.take_out_if_worse()
    assert house.serving() is None
