"""Rollbacks: which adapter was taken out, by whom and why, and what answers since."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, Session, SQLModel, col, select

from storage.records import json_field, time_field


class Rollback(SQLModel, table=True):
    """An adapter that served and was taken out; `restored_digest` is None where the base model answers since.

    `figures` has what an automatic rollback rests on, as `governance.watching.Comparison`; it is empty for one that a
    person decided on.
    """

    id: str = Field(primary_key=True)
    adapter_digest: str = Field(foreign_key="adapter.digest", index=True)
    restored_digest: str | None = Field(default=None, foreign_key="adapter.digest")
    actor: str
    reason: str
    figures: dict[str, Any] = json_field()
    created_at: datetime = time_field(index=True)


def get_rollback(session: Session, rollback_id: str) -> Rollback:
    """Return a rollback that is known to be there."""
    found = session.get(Rollback, rollback_id)
    assert found is not None
    return found


def rollback_of(session: Session, adapter_digest: str) -> Rollback | None:
    """Return how an adapter was taken out; None when it was not. That happens once, and for good."""
    return session.exec(select(Rollback).where(Rollback.adapter_digest == adapter_digest)).first()


def rollbacks_since(session: Session, moment: datetime) -> list[Rollback]:
    """Return the rollbacks later than `moment`, oldest first."""
    query = select(Rollback).where(col(Rollback.created_at) > moment)
    return list(session.exec(query.order_by(col(Rollback.created_at), col(Rollback.id))))


def list_rollbacks(session: Session) -> list[Rollback]:
    """Return all rollbacks, oldest first."""
    return list(session.exec(select(Rollback).order_by(col(Rollback.created_at), col(Rollback.id))))
