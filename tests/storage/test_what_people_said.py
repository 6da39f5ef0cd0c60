"""Counting what people asked, said and voted, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session

from storage.database import Database
from storage.feedback import (
    Feedback,
    Said,
    Votes,
    corrected_questions,
    corrections_of,
    count_said,
    count_votes,
    latest_said,
    waiting_corrections,
)
from storage.interactions import Interaction, count_asked, latest_asked
from storage.people import choose_news, ensure_person, ensure_workspace, get_person

START = datetime(2026, 1, 1, tzinfo=UTC)
ADA, BOB = "T1/UADA", "T1/UBOB"


def at(hours: float) -> datetime:
    return START + timedelta(hours=hours)


@pytest.fixture
def people(database: Database) -> Database:
    with database.transaction() as session:
        for team in ("T1", "T2"):
            ensure_workspace(session, team, team, START)
            for user in ("UADA", "UBOB"):
                ensure_person(session, team, user, user, START)
    return database


def answer(session: Session, number: int, adapter: str | None = None, asker: str = ADA) -> str:
    session.add(
        Interaction(
            id=f"qa_{number}", workspace_id="T1", channel="C1", thread_ts="1", question_ts="1", answer_ts="1",
            asker_id=asker, question=f"question {number}", answer="a", adapter_digest=adapter, base_digest="b",
            prompt_digest="p", created_at=at(number),
        )
    )  # fmt: skip
    session.flush()
    return f"qa_{number}"


def say(
    session: Session, number: int, kind: str, person: str = ADA, about: str | None = None, state: str = "accepted",
    *, private: bool = False,
) -> None:  # fmt: skip
    session.add(
        Feedback(
            id=f"fb_{number:02}", workspace_id=person.partition("/")[0], interaction_id=about, person_id=person,
            kind=kind, question=f"question {number}", answer="a", text="t", source="slack", state=state,
            private=private, created_at=at(number),
        )
    )  # fmt: skip
    session.flush()


def test_of_votes_the_newest_of_each_person_on_each_answer_counts(people: Database) -> None:
    with people.transaction() as session:
        first, second = answer(session, 1, "a" * 64), answer(session, 2)
        say(session, 1, "up", ADA, first)
        say(session, 2, "down", ADA, first)
        say(session, 3, "up", BOB, first)
        say(session, 4, "up", ADA, second)
        say(session, 5, "up", "T2/UADA", second)
        say(session, 6, "up", BOB, None)  # imported: of no answer of ours
        say(session, 7, "correction", BOB, second)
    with people.read() as session:
        assert count_votes(session, "T1", START) == Votes(up=2, down=1)
        assert count_votes(session, "T1", START, "a" * 64) == Votes(up=1, down=1)
        assert count_votes(session, "T1", at(3)) == Votes(up=1, down=0)


def test_what_a_person_asked_and_said_is_counted_with_first_and_last(people: Database) -> None:
    with people.transaction() as session:
        answer(session, 1)
        answer(session, 9)
        answer(session, 5, asker=BOB)
        say(session, 1, "up")
        say(session, 3, "up")
        say(session, 4, "correction", state="pending_review")
        say(session, 6, "correction", state="erased")
        say(session, 7, "up", BOB)
    with people.read() as session:
        assert count_asked(session, ADA) == (2, at(1), at(9))
        assert count_asked(session, "T2/UADA") == (0, None, None)
        assert sorted(count_said(session, ADA)) == [
            Said("correction", "pending_review", 1, at(4), at(4)),
            Said("up", "accepted", 2, at(1), at(3)),
        ]
        assert [row.id for row in latest_said(session, ADA, 2)] == ["fb_04", "fb_03"]
        assert [row.id for row in latest_asked(session, ADA, 1)] == ["qa_9"]


def test_questions_of_private_corrections_are_for_their_author_alone(people: Database) -> None:
    with people.transaction() as session:
        say(session, 1, "correction")
        say(session, 2, "correction", private=True)
        say(session, 3, "correction", "T2/UADA")
        say(session, 4, "correction", state="declined")
        say(session, 5, "up")
    ids = [f"fb_{number:02}" for number in range(9)]
    with people.read() as session:
        assert corrected_questions(session, ids, "T1", BOB) == ["question 1"]
        assert corrected_questions(session, ids, "T1", ADA, batch=2) == ["question 2", "question 1"]
        assert corrections_of(session, ADA) == {"fb_01", "fb_02"}


def test_what_waits_for_review_is_listed_for_others_than_its_author_oldest_first(people: Database) -> None:
    with people.transaction() as session:
        for number, person in ((3, ADA), (1, ADA), (2, BOB), (4, "T2/UBOB")):
            say(session, number, "correction", person, state="pending_review")
        say(session, 5, "correction")
    with people.read() as session:
        assert [row.id for row in waiting_corrections(session, "T1", BOB, 9)] == ["fb_01", "fb_03"]
        assert [row.id for row in waiting_corrections(session, "T1", BOB, 1)] == ["fb_01"]


def test_since_when_a_person_wants_no_news_is_kept_until_they_want_them_again(people: Database) -> None:
    def choose(wanted: bool, hour: float) -> datetime | None:  # noqa: FBT001
        with people.transaction() as session:
            choose_news(session, ADA, at(hour), wanted=wanted)
        with people.read() as session:
            return get_person(session, ADA).no_news_since

    assert [choose(False, 1), choose(False, 2), choose(True, 3)] == [at(1), at(1), None]
