"""The inbox: every event from Slack is stored here before it is acknowledged, and handled once."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, ClassVar, Literal

from sqlalchemy import Index
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel, col, func, select

from storage.database import Database
from storage.records import json_field, time_field

InboxState = Literal["received", "handling", "done", "failed"]
MAX_ATTEMPTS = 3


class InboxEvent(SQLModel, table=True):
    """One delivery from Slack. `key` is unique: the event id, or channel and ts where two tell of one message.

    `person` and `place` are set where such events are counted by who sent them, or where.
    """

    __tablename__ = "inbox_event"
    __table_args__: ClassVar[Any] = (
        Index("ix_inbox_event_person_received_at", "person", "received_at"),
        Index("ix_inbox_event_place_received_at", "place", "received_at"),
    )

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    kind: str
    payload: dict[str, Any] = json_field()
    state: str = Field(index=True)
    attempts: int = 0
    error: str = ""
    received_at: datetime = time_field()
    handled_at: datetime | None = time_field(optional=True)
    person: str | None = None
    place: str | None = None


def receive(
    database: Database,
    key: str,
    kind: str,
    payload: dict[str, Any],
    now: datetime,
    *,
    person: str | None = None,
    place: str | None = None,
) -> bool:
    """Store an event; return False, and change nothing, when it is there already."""
    event = InboxEvent(
        key=key, kind=kind, payload=payload, state="received", received_at=now, person=person, place=place
    )
    try:
        with database.transaction() as session:
            session.add(event)
    except IntegrityError:
        return False
    return True


def claim_next(database: Database, kinds: Collection[str] | None = None) -> InboxEvent | None:
    """Take the oldest waiting event, of one of these kinds if any are named, for handling; None when nothing waits."""
    with database.transaction() as session:
        query = select(InboxEvent).where(InboxEvent.state == "received").order_by(col(InboxEvent.id)).limit(1)
        if kinds is not None:
            query = query.where(col(InboxEvent.kind).in_(kinds))
        waiting = session.exec(query.with_for_update(skip_locked=True)).first()
        if waiting is not None:
            waiting.state = "handling"
            waiting.attempts += 1
            session.add(waiting)
        return waiting


def finish(session: Session, event: InboxEvent, now: datetime) -> None:
    """Mark an event as handled, in the transaction that stores what came of it."""
    _close(session, event, "done", "", now)


def fail(session: Session, event: InboxEvent, error: str, now: datetime) -> None:
    """Put an event back for another try, or give it up as `failed` after `MAX_ATTEMPTS`."""
    _close(session, event, "received" if event.attempts < MAX_ATTEMPTS else "failed", error, now)


def note(session: Session, event: InboxEvent, **facts: Any) -> None:
    """Add to an event's payload what a later try must know, for example what a killed process had begun."""
    stored = session.get(InboxEvent, event.id, with_for_update=True)
    assert stored is not None
    stored.payload = {**stored.payload, **facts}
    session.add(stored)


def times_received(
    session: Session, kind: str, after: datetime, *, person: str | None = None, place: str | None = None
) -> list[datetime]:
    """Return when events of this kind came later than `after`, from one person or in one place; the oldest first."""
    query = select(InboxEvent.received_at).where(InboxEvent.kind == kind, col(InboxEvent.received_at) > after)
    if person is not None:
        query = query.where(InboxEvent.person == person)
    if place is not None:
        query = query.where(InboxEvent.place == place)
    return list(session.exec(query.order_by(col(InboxEvent.received_at))))


def count_unfinished(session: Session, kind: str, person: str, after: datetime) -> int:
    """Count one person's events of this kind that came later than `after` and are not handled yet."""
    query = (
        select(func.count())
        .select_from(InboxEvent)
        .where(
            InboxEvent.kind == kind,
            InboxEvent.person == person,
            col(InboxEvent.received_at) > after,
            col(InboxEvent.state).in_(("received", "handling")),
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
        # An event that was begun this often may be what kills the process.
        event.state = "received" if event.attempts < MAX_ATTEMPTS else "failed"
        session.add(event)
    return len(begun)


def _close(session: Session, event: InboxEvent, state: InboxState, error: str, now: datetime) -> None:
    stored = session.get(InboxEvent, event.id, with_for_update=True)
    assert stored is not None
    stored.state, stored.error, stored.handled_at = state, error, now
    session.add(stored)
