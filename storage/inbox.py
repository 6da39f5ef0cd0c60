"""The inbox: every event from Slack is stored here before it is acknowledged, and handled once."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal

import sqlalchemy
from sqlalchemy import Index
from sqlalchemy.exc import IntegrityError
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
    took it up.
    """

    __tablename__ = "inbox_event"
    __table_args__ = (Index("ix_inbox_event_state_lane", "state", "lane", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    kind: str
    lane: str = Field(default="", sa_column_kwargs={"server_default": ""})
    payload: dict[str, Any] = json_field()
    state: str
    attempts: int = 0
    error: str = ""
    received_at: datetime = time_field()
    handled_at: datetime | None = time_field(optional=True)


def receive(database: Database, key: str, kind: str, payload: dict[str, Any], now: datetime, *, lane: str) -> bool:
    """Store an event; return False, and change nothing, when it is there already."""
    event = InboxEvent(key=key, kind=kind, lane=lane, payload=payload, state="received", received_at=now)
    try:
        with database.transaction() as session:
            session.add(event)
    except IntegrityError:
        return False
    return True


def claim_next(database: Database) -> InboxEvent | None:
    """Take the oldest event for handling whose lane is free; None when there is none."""
    first = select(func.min(InboxEvent.id)).where(col(InboxEvent.state).in_(OPEN)).group_by(InboxEvent.lane)
    query = select(InboxEvent).where(InboxEvent.state == "received", col(InboxEvent.id).in_(first))
    with database.transaction() as session:
        ordered = query.order_by(col(InboxEvent.id)).limit(1)
        waiting = session.exec(ordered.with_for_update(skip_locked=True)).first()
        if waiting is not None:
            waiting.state = "handling"
            waiting.attempts += 1
            session.add(waiting)
        return waiting


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


def requeue_unfinished(session: Session) -> int:
    """After a start: put back what a process that died had begun. Return how many; only the lease's holder may call."""
    begun = session.exec(select(InboxEvent).where(InboxEvent.state == "handling")).all()
    for event in begun:
        event.state = "received"
        session.add(event)
    return len(begun)


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
