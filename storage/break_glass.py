"""Adapters that somebody took live without the approvals that the policy asks for. These rows are never removed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlmodel import Field, Session, SQLModel, col, or_, select

from storage.adapters import LIVE, Adapter
from storage.errors import NotFoundError
from storage.records import time_field

GlassState = Literal["open", "confirmed", "rolled_back"]


class BreakGlass(SQLModel, table=True):
    """One promotion without its quorum: of what, by whom, why, and who else is told (ids of people).

    `dataset_digest`, `report_digest` and `policy_digest` are what its proposal was bound to. `seen_at`: when somebody
    who may judge it said that they have seen it. While it is `open`, the approvers have until `confirm_by`.
    """

    __tablename__ = "break_glass"

    id: str = Field(primary_key=True)
    proposal_id: str = Field(foreign_key="proposal.id", unique=True)
    adapter_digest: str = Field(foreign_key="adapter.digest", index=True)
    dataset_digest: str
    report_digest: str
    policy_digest: str
    person_id: str = Field(foreign_key="person.id")
    reason: str
    told: str = Field(foreign_key="person.id")
    state: str = Field(index=True)
    created_at: datetime = time_field()
    confirm_by: datetime = time_field()
    seen_at: datetime | None = time_field(optional=True)


def get_break_glass(session: Session, glass_id: str) -> BreakGlass:
    """Return one, or raise NotFoundError."""
    found = session.get(BreakGlass, glass_id)
    if found is None:
        raise NotFoundError(f"there is no broken glass {glass_id}. `apprentice break-glass list` lists them.")
    return found


def break_glass_of(session: Session, adapter_digest: str) -> BreakGlass | None:
    """Return how an adapter was taken live without its quorum; None when it was not."""
    return session.exec(select(BreakGlass).where(BreakGlass.adapter_digest == adapter_digest)).first()


def list_break_glass(session: Session, *states: GlassState) -> list[BreakGlass]:
    """Return those in these states (all, when none is named), the oldest first."""
    query = select(BreakGlass).order_by(col(BreakGlass.created_at), col(BreakGlass.id))
    return list(session.exec(query.where(col(BreakGlass.state).in_(states)) if states else query))


def break_glass_by(session: Session, person_id: str) -> Sequence[BreakGlass]:
    """Return those that a person made or was told of, the oldest first."""
    query = select(BreakGlass).where(or_(BreakGlass.person_id == person_id, BreakGlass.told == person_id))
    return session.exec(query.order_by(col(BreakGlass.created_at), col(BreakGlass.id))).all()


def unconfirmed(session: Session, now: datetime) -> list[BreakGlass]:
    """Return those that nobody confirmed in time and whose adapter is still live, the oldest first."""
    query = select(BreakGlass).join(Adapter, col(Adapter.digest) == col(BreakGlass.adapter_digest))
    query = query.where(BreakGlass.state == "open", col(BreakGlass.confirm_by) <= now, col(Adapter.state).in_(LIVE))
    return list(session.exec(query.order_by(col(BreakGlass.created_at), col(BreakGlass.id))))
