"""The inbox: every event from Slack is stored here before it is acknowledged, and handled once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

import sqlalchemy
from sqlalchemy import Index, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import aliased
from sqlmodel import Field, Session, SQLModel, col, func, or_, select

from storage.database import Database
from storage.records import json_field, time_field

InboxState = Literal["received", "handling", "done", "failed"]
OPEN = ("received", "handling")
MAX_ATTEMPTS = 3
"""How many processes may die of an event; it may be what kills them."""


class InboxEvent(SQLModel, table=True):
    """One delivery from Slack. `key` is unique: the event id, or channel and ts where two tell of one message.

    Events of a `lane` are handled one after the other, in the order of their ids. `attempts` counts how often a process
    took it up. `person` and `place` are set where such events are counted by who sent them, or where.
    """

    __tablename__ = "inbox_event"
    __table_args__: ClassVar[Any] = (
        Index("ix_inbox_event_state_id", "state", "id"),
        Index("ix_inbox_event_lane_state_id", "lane", "state", "id"),
        Index("ix_inbox_event_person_received_at", "person", "received_at"),
        Index("ix_inbox_event_place_received_at", "place", "received_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    kind: str
    lane: str = Field(default="", sa_column_kwargs={"server_default": text("''")})
    payload: dict[str, Any] = json_field()
    state: str
    attempts: int = 0
    error: str = ""
    received_at: datetime = time_field()
    handled_at: datetime | None = time_field(optional=True)
    person: str | None = None
    place: str | None = None


@dataclass(frozen=True)
class Arrival:
    """An event that is to be stored; its fields are those of `InboxEvent`."""

    key: str
    kind: str
    lane: str
    payload: dict[str, Any]
    received_at: datetime
    person: str | None = None
    place: str | None = None


def receive(session: Session, arrivals: Sequence[Arrival]) -> set[str]:
    """Store events in this order; return the keys of those that were not there already."""
    if not arrivals:
        return set()
    statement = (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(InboxEvent)
    once = statement.on_conflict_do_nothing(index_elements=["key"]).returning(col(InboxEvent.key))
    rows = [{**vars(each), "state": "received", "attempts": 0, "error": "", "handled_at": None} for each in arrivals]
    return set(session.scalars(once, rows))


def claim_next(database: Database, kinds: Collection[str] | None = None) -> InboxEvent | None:
    """Take the oldest event for handling whose lane is free, of one of these kinds if any are named; None without."""
    earlier = aliased(InboxEvent)
    in_lane = select(earlier.id).where(
        earlier.lane == InboxEvent.lane, col(earlier.state).in_(OPEN), col(earlier.id) < col(InboxEvent.id)
    )
    query = select(InboxEvent).where(InboxEvent.state == "received", ~in_lane.exists())
    if kinds is not None:
        query = query.where(col(InboxEvent.kind).in_(kinds))
    with database.transaction() as session:
        ordered = query.order_by(col(InboxEvent.id)).limit(1)
        waiting = session.exec(ordered.with_for_update(skip_locked=True)).first()
        if waiting is not None:
            waiting.state = "handling"
            waiting.attempts += 1
            session.add(waiting)
        return waiting


def list_events(session: Session, *, after: int = 0) -> list[InboxEvent]:
    """Return the events that were stored later than the one with this id, in the order in which they came."""
    return list(session.exec(select(InboxEvent).where(col(InboxEvent.id) > after).order_by(col(InboxEvent.id))))


def finish(session: Session, event: InboxEvent, now: datetime) -> None:
    """Mark an event as handled, in the transaction that stores what came of it."""
    _close(session, event, "done", "", now)


def fail(session: Session, event: InboxEvent, error: str, now: datetime) -> None:
    """Give an event up, in the transaction that stores who is told."""
    _close(session, event, "failed", error, now)


def note(session: Session, event: InboxEvent, **facts: Any) -> None:
    """Add to an event's payload what a later try must know, for example what a killed process had begun."""
    stored = session.get(InboxEvent, event.id, with_for_update=True)
    assert stored is not None
    stored.payload = {**stored.payload, **facts}
    event.payload = stored.payload
    session.add(stored)


def find_event(session: Session, key: str) -> InboxEvent | None:
    """Return the event that was stored under this key, whatever became of it."""
    return session.exec(select(InboxEvent).where(InboxEvent.key == key)).first()


def in_hand(session: Session, kind: str) -> list[InboxEvent]:
    """Return the events of one kind that are being handled."""
    return list(session.exec(select(InboxEvent).where(InboxEvent.state == "handling", InboxEvent.kind == kind)))


def is_open_before(session: Session, lane: str, event_id: int) -> bool:
    """Tell whether an event of a lane that came before another one, of whatever lane, is not handled yet."""
    earlier = select(InboxEvent.id).where(InboxEvent.lane == lane, col(InboxEvent.id) < event_id)
    return session.exec(earlier.where(col(InboxEvent.state).in_(OPEN)).limit(1)).first() is not None


def times_received(
    session: Session, kinds: Collection[str], after: datetime, *, person: str | None = None, place: str | None = None
) -> list[datetime]:
    """Return when events of these kinds came later than `after`, from one person or in one place; the oldest first."""
    query = select(InboxEvent.received_at).where(col(InboxEvent.kind).in_(kinds), col(InboxEvent.received_at) > after)
    if person is not None:
        query = query.where(InboxEvent.person == person)
    if place is not None:
        query = query.where(InboxEvent.place == place)
    return list(session.exec(query.order_by(col(InboxEvent.received_at))))


def count_unfinished(session: Session, kinds: Collection[str], person: str, after: datetime) -> int:
    """Count one person's events of these kinds that came later than `after` and are not handled yet."""
    query = (
        select(func.count())
        .select_from(InboxEvent)
        .where(
            col(InboxEvent.kind).in_(kinds),
            InboxEvent.person == person,
            col(InboxEvent.received_at) > after,
            col(InboxEvent.state).in_(OPEN),
        )
    )
    return session.exec(query).one()


def latest_of(session: Session, kind: str, person: str) -> InboxEvent | None:
    """Return one person's newest event of this kind."""
    query = select(InboxEvent).where(InboxEvent.kind == kind, InboxEvent.person == person)
    return session.exec(query.order_by(col(InboxEvent.received_at).desc()).limit(1)).first()


def requeue_unfinished(session: Session) -> int:
    """After a start: put back what a process that died had begun. Return how many; only the lease's holder may call."""
    begun = session.exec(select(InboxEvent).where(InboxEvent.state == "handling")).all()
    for event in begun:
        event.state = "received"
        session.add(event)
    return len(begun)


def close_waiting(session: Session, team: str, error: str, before: datetime, now: datetime) -> int:
    """Give up what came from a workspace until that time and waits; return how many events these are."""
    query = select(InboxEvent).where(InboxEvent.state == "received", col(InboxEvent.received_at) <= before)
    waiting = [event for event in session.exec(query.with_for_update()) if event.payload.get("team") == team]
    for event in waiting:
        _close(session, event, "failed", error, now)
    return len(waiting)


def remove_settled(
    session: Session, done_before: datetime, failed_before: datetime, lasting: Collection[str] = ()
) -> None:
    """Delete what was done, and what was given up, before these times, but for the `lasting` kinds.

    A key is remembered as long as its row.
    """
    done = sqlalchemy.and_(col(InboxEvent.state) == "done", col(InboxEvent.handled_at) < done_before)
    failed = sqlalchemy.and_(col(InboxEvent.state) == "failed", col(InboxEvent.handled_at) < failed_before)
    session.execute(sqlalchemy.delete(InboxEvent).where(or_(done, failed), col(InboxEvent.kind).not_in(lasting)))


def _close(session: Session, event: InboxEvent, state: InboxState, error: str, now: datetime) -> None:
    stored = session.get(InboxEvent, event.id, with_for_update=True)
    assert stored is not None
    stored.state, stored.error, stored.handled_at = state, error, now
    session.add(stored)
