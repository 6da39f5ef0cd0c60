"""Votes that approvers have handed to somebody else, each to one person until a date."""

from datetime import datetime

from sqlmodel import Field, Session, SQLModel, col, or_, select

from storage.records import time_field


class Delegation(SQLModel, table=True):
    """The vote of `delegator`, in the hands of `delegate` until `ends_at`; both are ids of people."""

    delegator: str = Field(primary_key=True, foreign_key="person.id")
    delegate: str = Field(foreign_key="person.id", index=True)
    reason: str
    created_at: datetime = time_field()
    ends_at: datetime = time_field()


def list_delegations(session: Session, now: datetime) -> list[Delegation]:
    """Return the delegations whose time is not over, the one that ends first before the others."""
    query = select(Delegation).where(col(Delegation.ends_at) > now)
    return list(session.exec(query.order_by(col(Delegation.ends_at), col(Delegation.delegator))))


def delegations_of(session: Session, person_id: str, now: datetime | None = None) -> list[Delegation]:
    """Return those in which a person hands on their vote or holds another's; with `now`, none whose time is over."""
    query = select(Delegation).where(or_(Delegation.delegator == person_id, Delegation.delegate == person_id))
    if now is not None:
        query = query.where(col(Delegation.ends_at) > now)
    return list(session.exec(query.order_by(col(Delegation.created_at), col(Delegation.delegator))))


def put_delegation(session: Session, delegation: Delegation) -> Delegation:
    """Keep a delegation in place of one of the same delegator whose time is over."""
    return session.merge(delegation)


def remove_delegation(session: Session, delegation: Delegation) -> None:
    """End a delegation."""
    session.delete(delegation)
