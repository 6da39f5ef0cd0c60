"""The inbox: each event once, in order, whatever is killed."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from storage import inbox
from storage.database import Database
from storage.inbox import MAX_ATTEMPTS, Arrival, InboxEvent, list_events
from storage.records import utc_now


def arrival(key: str) -> Arrival:
    return Arrival(key, "message", {"text": f"text of {key}"}, utc_now())


def receive(database: Database, *keys: str) -> set[str]:
    with database.transaction() as session:
        return inbox.receive(session, [arrival(key) for key in keys])


def state_of(database: Database, key: str) -> str:
    with database.read() as session:
        return next(event.state for event in session.query(InboxEvent) if event.key == key)


def test_a_second_delivery_of_an_event_changes_nothing(database: Database) -> None:
    assert receive(database, "Ev1")
    assert not receive(database, "Ev1")
    claimed = inbox.claim_next(database)
    assert claimed is not None
    assert (claimed.key, claimed.payload) == ("Ev1", {"text": "text of Ev1"})
    assert inbox.claim_next(database) is None


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
    assert [event.key for event in iter(lambda: inbox.claim_next(database), None)] == [f"Ev{n}" for n in range(5)]


def test_workers_that_claim_at_once_get_different_events(database: Database) -> None:
    for number in range(12):
        receive(database, f"Ev{number}")
    with ThreadPoolExecutor(6) as pool:
        claimed = [event.key for event in pool.map(lambda _: inbox.claim_next(database), range(12)) if event]
    rest = [event.key for event in iter(lambda: inbox.claim_next(database), None)]
    assert sorted(claimed + rest) == sorted(f"Ev{number}" for number in range(12))


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


def test_an_event_that_keeps_failing_is_given_up_with_its_error(database: Database) -> None:
    receive(database, "Ev1")
    for _ in range(MAX_ATTEMPTS):
        event = inbox.claim_next(database)
        assert event is not None
        with database.transaction() as session:
            inbox.fail(session, event, "the model ran out of memory", utc_now())
    assert inbox.claim_next(database) is None
    assert state_of(database, "Ev1") == "failed"


def test_facts_noted_on_an_event_are_there_at_the_next_try(database: Database) -> None:
    receive(database, "Ev1")
    event = inbox.claim_next(database)
    assert event is not None
    with database.transaction() as session:
        inbox.note(session, event, answer_ts="1700000000.000100")
        inbox.requeue_unfinished(session)
    again = inbox.claim_next(database)
    assert again is not None
    assert again.payload == {"text": "text of Ev1", "answer_ts": "1700000000.000100"}
