"""The outbox: each call once, in order within its lane, and what is in doubt is known to be."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlmodel import select

from storage import outbox
from storage.database import Database
from storage.outbox import Claim, OutboxCall
from storage.records import utc_now

NOW = utc_now()


def owe(database: Database, key: str, lane: str = "", **more: Any) -> bool:
    content = {"team": "T", "method": "chat.postMessage", "arguments": {"text": key}, "created_at": NOW, **more}
    with database.transaction() as session:
        return outbox.owe(session, OutboxCall(key=key, lane=lane or key, **content))


def claim(database: Database, now: datetime = NOW, **more: Any) -> Claim:
    found = outbox.claim_next(database, now, **more)
    assert found is not None
    return found


def sent(database: Database, call: OutboxCall, now: datetime = NOW) -> None:
    with database.transaction() as session:
        outbox.note_sent(session, call, "1.000001", now)


def fail(database: Database, call: OutboxCall, error: str) -> None:
    with database.transaction() as session:
        outbox.note_failed(session, call, error)


def keys(database: Database) -> set[str]:
    with database.read() as session:
        return {call.key for call in session.exec(select(OutboxCall))}


def test_what_is_owed_twice_is_kept_once(database: Database) -> None:
    assert owe(database, "a")
    assert not owe(database, "a", arguments={"text": "something else"})

    assert claim(database).call.arguments == {"text": "a"}
    assert outbox.claim_next(database, NOW, in_hand=[1]) is None


def test_a_call_stands_or_falls_with_what_it_tells_of(database: Database) -> None:
    def owe_and_be_killed() -> None:
        with database.transaction() as session:
            outbox.owe(
                session, OutboxCall(key="a", team="", lane="", method="chat.postMessage", arguments={}, created_at=NOW)
            )
            raise ConnectionError

    with pytest.raises(ConnectionError):
        owe_and_be_killed()
    assert outbox.claim_next(database, NOW) is None


def test_a_call_waits_for_the_earlier_ones_of_its_lane_and_for_no_others(database: Database) -> None:
    for key, lane in (("a", "thread"), ("b", "thread"), ("c", "other")):
        owe(database, key, lane)

    first = claim(database).call
    assert first.key == "a"
    assert first.id is not None
    other = claim(database, in_hand=[first.id]).call
    assert other.key == "c"
    assert other.id is not None
    assert outbox.claim_next(database, NOW, in_hand=[first.id, other.id]) is None
    sent(database, first)
    assert claim(database, in_hand=[other.id]).call.key == "b"


def test_what_was_given_up_does_not_hold_up_its_lane(database: Database) -> None:
    owe(database, "a", "thread")
    owe(database, "b", "thread")
    fail(database, claim(database).call, "channel_not_found")

    assert claim(database).call.key == "b"


def test_a_call_that_was_begun_and_never_noted_is_in_doubt(database: Database) -> None:
    owe(database, "a")

    assert not claim(database).in_doubt
    again = claim(database)
    assert again.in_doubt
    assert again.call.attempts == 2


@pytest.mark.parametrize("in_doubt", [True, False])
def test_a_call_that_was_put_off_comes_when_it_is_due_and_not_before(
    database: Database,
    in_doubt: bool,  # noqa: FBT001 - given by pytest
) -> None:
    owe(database, "a")
    call, until = claim(database).call, NOW + timedelta(seconds=30)
    with database.transaction() as session:
        outbox.postpone(session, call, "internal_error", until, in_doubt=in_doubt)

    assert outbox.claim_next(database, NOW + timedelta(seconds=29)) is None
    assert claim(database, NOW + timedelta(seconds=30)).in_doubt == in_doubt


def test_a_method_that_rests_rests_in_its_workspace_only(database: Database) -> None:
    owe(database, "a")
    owe(database, "b", method="chat.postEphemeral")
    owe(database, "c", team="T2")
    resting = [("T", "chat.postMessage")]

    first = claim(database, resting=resting).call
    assert first.key == "b"
    sent(database, first)
    assert claim(database, resting=resting).call.key == "c"


def test_what_waits_is_counted_with_the_time_of_the_oldest(database: Database) -> None:
    with database.read() as session:
        assert outbox.count_unsent(session) == (0, None)
    owe(database, "a", created_at=NOW - timedelta(hours=2))
    owe(database, "b", created_at=NOW - timedelta(hours=1))
    owe(database, "c")
    sent(database, claim(database).call)

    with database.read() as session:
        assert outbox.count_unsent(session) == (2, NOW - timedelta(hours=1))


def test_what_was_sent_goes_after_a_week_and_what_failed_after_a_month(database: Database) -> None:
    for days in (8, 6):
        owe(database, f"sent {days}")
        sent(database, claim(database).call, NOW - timedelta(days=days))
    for days in (31, 29):
        owe(database, f"failed {days}", created_at=NOW - timedelta(days=days))
        fail(database, claim(database).call, "is_archived")
    owe(database, "waiting", created_at=NOW - timedelta(days=100))

    with database.transaction() as session:
        outbox.remove_settled(session, NOW - timedelta(days=7), NOW - timedelta(days=30))

    assert keys(database) == {"sent 6", "failed 29", "waiting"}
