"""The inbox: each event once, in order, whatever is killed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event as events
from sqlalchemy import text
from sqlmodel import select

from storage import inbox
from storage.database import Database
from storage.inbox import Arrival, InboxEvent, list_events
from storage.records import utc_now


def arrival(key: str, lane: str = "") -> Arrival:
    return Arrival(key, "message", lane or key, {"text": f"text of {key}"}, utc_now())


def receive(database: Database, *keys: str, lane: str = "") -> set[str]:
    with database.transaction() as session:
        return inbox.receive(session, [arrival(key, lane) for key in keys])


def close(database: Database, event: InboxEvent, state: str = "done", now: datetime | None = None) -> None:
    with database.transaction() as session:
        if state == "done":
            inbox.finish(session, event, now or utc_now())
        else:
            inbox.fail(session, event, "the model ran out of memory", now or utc_now())


def claimed(database: Database) -> list[InboxEvent]:
    return list(iter(lambda: inbox.claim_next(database), None))


def state_of(database: Database, key: str) -> str:
    with database.read() as session:
        return next(event.state for event in session.query(InboxEvent) if event.key == key)


def test_a_second_delivery_of_an_event_changes_nothing(database: Database) -> None:
    assert receive(database, "Ev1")
    assert not receive(database, "Ev1")
    (event,) = claimed(database)
    assert (event.key, event.payload) == ("Ev1", {"text": "text of Ev1"})


def test_deliveries_of_one_event_at_once_store_it_once(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert sorted(map(len, pool.map(lambda _: receive(database, "Ev1"), range(8)))) == [0] * 7 + [1]


def test_events_that_come_together_are_stored_in_their_order_each_once(database: Database) -> None:
    receive(database, "Ev1")

    assert receive(database, "Ev3", "Ev1", "Ev2", "Ev3") == {"Ev2", "Ev3"}

    with database.read() as session:
        first, *rest = list_events(session)
        assert first.key == "Ev1"
        assert [event.key for event in rest] == ["Ev3", "Ev2"]
        assert list_events(session, after=rest[0].id or 0) == rest[1:]


def test_events_are_claimed_in_the_order_in_which_they_came_and_never_twice(database: Database) -> None:
    for number in range(5):
        receive(database, f"Ev{number}")
    assert [event.key for event in claimed(database)] == [f"Ev{n}" for n in range(5)]


def test_an_event_waits_until_the_earlier_ones_of_its_lane_are_closed(database: Database) -> None:
    for key, lane in (("Ev1", "thread"), ("Ev2", "thread"), ("Ev3", "other")):
        receive(database, key, lane=lane)

    first, other = claimed(database)
    assert (first.key, other.key) == ("Ev1", "Ev3")
    close(database, first, "failed")
    assert [event.key for event in claimed(database)] == ["Ev2"]


def test_what_a_killed_process_had_begun_comes_before_what_waits_in_its_lane(database: Database) -> None:
    for number in range(3):
        receive(database, f"Ev{number}", lane="thread")
    inbox.claim_next(database)
    with database.transaction() as session:
        inbox.requeue_unfinished(session)
    assert [event.key for event in claimed(database)] == ["Ev0"]


def test_claiming_reads_an_index_however_many_events_there_are(sqlite_database: Database) -> None:
    statements: list[str] = []
    events.listen(sqlite_database.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    inbox.claim_next(sqlite_database)
    query = next(statement for statement in statements if statement.startswith("SELECT"))
    with sqlite_database.engine.connect() as connection:
        filled = query.replace("?", "1")
        plan = [row.detail for row in connection.execute(text(f"EXPLAIN QUERY PLAN {filled}"))]
    assert not [step for step in plan if step.startswith("SCAN inbox_event")], plan


def test_workers_that_claim_at_once_get_different_events(database: Database) -> None:
    for number in range(12):
        receive(database, f"Ev{number}")
    with ThreadPoolExecutor(6) as pool:
        at_once = [event.key for event in pool.map(lambda _: inbox.claim_next(database), range(12)) if event]
    rest = [event.key for event in claimed(database)]
    assert sorted(at_once + rest) == sorted(f"Ev{number}" for number in range(12))


def test_what_a_killed_process_had_begun_is_handled_after_the_restart(database: Database) -> None:
    receive(database, "Ev1")
    inbox.claim_next(database)
    with database.transaction() as session:
        assert inbox.requeue_unfinished(session) == 1
    again = inbox.claim_next(database)
    assert again is not None
    assert (again.key, again.attempts) == ("Ev1", 2)


def test_a_finished_event_is_not_handled_again(database: Database) -> None:
    receive(database, "Ev1")
    event = inbox.claim_next(database)
    assert event is not None
    with database.transaction() as session:
        inbox.finish(session, event, utc_now())
    with database.transaction() as session:
        assert inbox.requeue_unfinished(session) == 0
    assert inbox.claim_next(database) is None
    assert not receive(database, "Ev1")


def test_finishing_stands_or_falls_with_what_came_of_the_event(database: Database) -> None:
    receive(database, "Ev1")
    event = inbox.claim_next(database)
    assert event is not None

    def finish_and_be_killed() -> None:
        with database.transaction() as session:
            inbox.finish(session, event, utc_now())
            raise ConnectionError

    with pytest.raises(ConnectionError):
        finish_and_be_killed()
    assert state_of(database, "Ev1") == "handling"


def test_an_event_that_failed_is_given_up_with_its_error(database: Database) -> None:
    receive(database, "Ev1")
    (event,) = claimed(database)
    close(database, event, "failed")
    assert inbox.claim_next(database) is None
    assert state_of(database, "Ev1") == "failed"


def test_what_is_done_goes_after_a_week_what_failed_after_a_month_and_lasting_kinds_stay(database: Database) -> None:
    now = utc_now()
    for kind, state, days in (
        ("question", "done", 8), ("question", "done", 6), ("question", "failed", 29), ("question", "failed", 31),
        ("promotion", "done", 100),
    ):  # fmt: skip
        with database.transaction() as session:
            inbox.receive(session, [Arrival(f"{kind} {state} {days}", kind, "", {}, now)])
        (event,) = claimed(database)
        close(database, event, state, now - timedelta(days=days))
    receive(database, "waiting")

    with database.transaction() as session:
        inbox.remove_settled(session, now - timedelta(days=7), now - timedelta(days=30), ["promotion"])

    with database.read() as session:
        kept = {event.key for event in session.exec(select(InboxEvent))}
    assert kept == {"question done 6", "question failed 29", "promotion done 100", "waiting"}


def test_facts_noted_on_an_event_are_there_at_the_next_try(database: Database) -> None:
    receive(database, "Ev1")
    event = inbox.claim_next(database)
    assert event is not None
    with database.transaction() as session:
        inbox.note(session, event, answer_ts="1700000000.000100")
        inbox.requeue_unfinished(session)
    assert event.payload["answer_ts"] == "1700000000.000100"
    again = inbox.claim_next(database)
    assert again is not None
    assert again.payload == {"text": "text of Ev1", "answer_ts": "1700000000.000100"}
