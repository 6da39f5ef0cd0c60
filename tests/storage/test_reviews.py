"""What of reviews is to be shown and told next."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session

from storage.database import Database
from storage.feedback import Feedback, get_feedback
from storage.people import ensure_person, ensure_workspace
from storage.reviews import (
    begin_posting,
    note_review_shown,
    note_told,
    outdated_reviews,
    posted_since,
    review_message,
    unposted_reviews,
    untold_reviews,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def add(session: Session, name: str, state: str = "pending_review", *, age: int = 0, reviewed: bool = False) -> None:
    moment = NOW - timedelta(minutes=age)
    session.add(
        Feedback(
            id=name, workspace_id="T1", person_id="T1/U1", kind="correction", question="?", answer="", text="!",
            source="slack", state=state, created_at=moment, reviewed_at=moment if reviewed else None,
        )
    )  # fmt: skip
    session.flush()


@pytest.fixture
def people(database: Database) -> Database:
    with database.transaction() as session:
        ensure_workspace(session, "T1", "Made up", NOW)
        ensure_person(session, "T1", "U1", "One", NOW)
    return database


def test_what_waits_and_is_shown_nowhere_comes_oldest_first_and_is_counted(people: Database) -> None:
    with people.transaction() as session:
        for name, age in (("new", 1), ("old", 9), ("middle", 5), ("shown", 7)):
            add(session, name, age=age)
        add(session, "accepted", "accepted")
        begin_posting(session, "old", NOW)  # but its process died before the message was noted
        note_review_shown(session, "shown", "C1", "1.1", "pending_review")

        assert unposted_reviews(session, 2) == (["old", "middle"], 3)
        assert unposted_reviews(session, 0) == ([], 3)


def test_a_message_is_outdated_when_it_tells_of_another_state(people: Database) -> None:
    with people.transaction() as session:
        for name, state in (("right", "pending_review"), ("wrong", "accepted"), ("unknown", None)):
            add(session, name)
            note_review_shown(session, name, "C1", name, state)
        add(session, "unshown")

        assert outdated_reviews(session) == ["unknown", "wrong"]


def test_a_posting_counts_from_when_it_was_begun_first(people: Database) -> None:
    with people.transaction() as session:
        add(session, "one")

        assert begin_posting(session, "one", NOW) is None
        assert begin_posting(session, "one", NOW + timedelta(hours=1)) == NOW
        assert posted_since(session, NOW - timedelta(seconds=1)) == 1
        assert posted_since(session, NOW) == 0


def test_each_decision_is_untold_until_it_is_noted(people: Database) -> None:
    with people.transaction() as session:
        add(session, "declined", "declined", age=1, reviewed=True)
        add(session, "accepted", "accepted", age=2, reviewed=True)
        add(session, "never reviewed", "accepted")
        add(session, "waiting")
        assert [each.id for each in untold_reviews(session)] == ["accepted", "declined"]

        note_told(session, "accepted", NOW - timedelta(minutes=2))
        assert [each.id for each in untold_reviews(session)] == ["declined"]

        get_feedback(session, "accepted").reviewed_at = NOW
        assert [each.id for each in untold_reviews(session)] == ["declined", "accepted"]


def test_nothing_is_known_of_a_message_that_was_never_posted(people: Database) -> None:
    with people.transaction() as session:
        add(session, "one")
        assert review_message(session, "one").message_ts == ""
    with people.read() as session:
        assert unposted_reviews(session, 5) == (["one"], 1)
