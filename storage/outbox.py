"""The outbox: calls to Slack that are owed. They are written down first, and made from here until Slack has them."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy
from sqlalchemy import Index
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel, col, func, or_, select

from storage.database import Database
from storage.records import json_field, time_field

OutboxState = Literal["waiting", "sending", "sent", "failed"]
UNSENT = ("waiting", "sending")


class OutboxCall(SQLModel, table=True):
    """One call of a method of Slack's Web API, in the workspace `team` (empty: the one that has the approvers).

    `key` is unique: who does a job twice owes its message once. Calls of a `lane` are made in the order of their ids.
    `sending` says that the call was begun and that no answer is known: it may have been made. `not_before` is when to
    try again, `result` the ts of what was posted.
    """

    __tablename__ = "outbox_call"
    __table_args__ = (Index("ix_outbox_call_state_lane", "state", "lane", "id"),)

    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(unique=True)
    team: str
    lane: str
    method: str
    arguments: dict[str, Any] = json_field()
    state: str = "waiting"
    attempts: int = 0
    not_before: datetime | None = time_field(optional=True)
    error: str = ""
    result: str = ""
    created_at: datetime = time_field()
    sent_at: datetime | None = time_field(optional=True)


class Claim(NamedTuple):
    """A call to be made now; one `in_doubt` was begun before, and may have been made."""

    call: OutboxCall
    in_doubt: bool


def owe(session: Session, call: OutboxCall) -> bool:
    """Write down a call, in the transaction that stores why it is owed; return False when its key is there already."""
    if session.exec(select(OutboxCall.id).where(OutboxCall.key == call.key)).first() is not None:
        return False
    try:
        with session.begin_nested():
            session.add(call)
    except IntegrityError:  # on PostgreSQL, another transaction wrote it at this moment
        return False
    return True


def claim_next(
    database: Database,
    now: datetime,
    in_hand: Collection[int] = (),
    resting: Collection[tuple[str, str]] = (),
) -> Claim | None:
    """Take the oldest call that may be made now; None when there is none.

    Only the first unsent call of each lane may. `in_hand` are the ids that this process is at work on, `resting` the
    workspaces and methods that Slack wants to be left alone with.
    """
    first = select(func.min(OutboxCall.id)).where(col(OutboxCall.state).in_(UNSENT)).group_by(OutboxCall.lane)
    query = select(OutboxCall).where(
        col(OutboxCall.id).in_(first),
        col(OutboxCall.id).not_in(in_hand),
        or_(col(OutboxCall.not_before).is_(None), col(OutboxCall.not_before) <= now),
        *(or_(OutboxCall.team != team, OutboxCall.method != method) for team, method in resting),
    )
    with database.transaction() as session:
        ordered = query.order_by(col(OutboxCall.id)).limit(1)
        call = session.exec(ordered.with_for_update(skip_locked=True)).first()
        if call is None:
            return None
        in_doubt = call.state == "sending"
        call.state = "sending"
        call.attempts += 1
        session.add(call)
        return Claim(call, in_doubt)


def note_sent(session: Session, call: OutboxCall, result: str, now: datetime) -> None:
    """Note that Slack has it; `result` is the ts of a posted message."""
    _note(session, call, state="sent", result=result, error="", sent_at=now)


def note_failed(session: Session, call: OutboxCall, error: str) -> None:
    """Give a call up; the next one of its lane may be made."""
    _note(session, call, state="failed", error=error)


def postpone(session: Session, call: OutboxCall, error: str, until: datetime, *, in_doubt: bool) -> None:
    """Let a call wait; one that is not `in_doubt` was certainly not made."""
    _note(session, call, state="sending" if in_doubt else "waiting", error=error, not_before=until)


def count_unsent(session: Session) -> tuple[int, datetime | None]:
    """Return how many calls wait, and since when the oldest does."""
    unsent = col(OutboxCall.state).in_(UNSENT)
    return session.exec(select(func.count(col(OutboxCall.id)), func.min(OutboxCall.created_at)).where(unsent)).one()


def remove_settled(session: Session, sent_before: datetime, failed_before: datetime) -> None:
    """Delete what was sent, and what was given up, before these times; a key is remembered as long as its row."""
    sent = sqlalchemy.and_(col(OutboxCall.state) == "sent", col(OutboxCall.sent_at) < sent_before)
    failed = sqlalchemy.and_(col(OutboxCall.state) == "failed", col(OutboxCall.created_at) < failed_before)
    session.execute(sqlalchemy.delete(OutboxCall).where(or_(sent, failed)))


def _note(session: Session, call: OutboxCall, **facts: Any) -> None:
    stored = session.get(OutboxCall, call.id, with_for_update=True)
    assert stored is not None
    for name, value in facts.items():
        setattr(stored, name, value)
    session.add(stored)
