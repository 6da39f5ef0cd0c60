"""Proposals to put an adapter live, and what people decided on them."""

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, Session, SQLModel, case, col, func, or_, select, update

from storage.adapters import Adapter
from storage.errors import NotFoundError
from storage.records import json_field, time_field
from storage.shown import ShownInSlack, is_undrawn

ProposalState = Literal["open", "approved", "rejected", "expired", "void"]
Verdict = Literal["approve", "reject"]


class Proposal(ShownInSlack, table=True):
    """A request to promote one adapter, bound to the digests of adapter, data set, report and policy.

    `shares` maps a person's id to the share (0 to 1) of the training corrections that the person wrote.
    `reminded_hours` is the last reminder that was given, as hours before the expiry.
    """

    id: str = Field(primary_key=True)
    adapter_digest: str = Field(foreign_key="adapter.digest", index=True)
    dataset_digest: str
    report_digest: str
    policy_digest: str
    started_by: str
    shares: dict[str, Any] = json_field()
    state: str = Field(index=True)
    reminded_hours: float | None = None
    created_at: datetime = time_field(index=True)
    expires_at: datetime = time_field()
    closed_at: datetime | None = time_field(optional=True)


class Decision(SQLModel, table=True):
    """What one person decided on one proposal, with their own vote or that of `on_behalf_of`; one a person."""

    __table_args__ = (
        UniqueConstraint("proposal_id", "person_id", name="one_decision_a_person"),
        UniqueConstraint("proposal_id", "on_behalf_of", name="one_decision_on_behalf_of_a_person"),
    )

    id: str = Field(primary_key=True)
    proposal_id: str = Field(foreign_key="proposal.id", index=True)
    person_id: str = Field(foreign_key="person.id")
    on_behalf_of: str | None = Field(default=None, foreign_key="person.id")
    verdict: str
    reason: str = ""
    created_at: datetime = time_field()

    @property
    def people(self) -> list[str]:
        """The ids of those who have no vote on the proposal any more: who decided, and in whose name."""
        return [self.person_id, *([self.on_behalf_of] if self.on_behalf_of else [])]


def get_proposal(session: Session, proposal_id: str) -> Proposal:
    """Return the proposal, its row locked until the transaction ends, or raise NotFoundError."""
    found = session.get(Proposal, proposal_id, with_for_update=True)
    if found is None:
        raise NotFoundError(f"there is no proposal {proposal_id}.")
    return found


def proposal_for(session: Session, adapter_digest: str) -> Proposal | None:
    """Return the newest proposal for an adapter."""
    return session.exec(
        select(Proposal).where(Proposal.adapter_digest == adapter_digest).order_by(col(Proposal.created_at).desc())
    ).first()


def list_proposals(session: Session, *states: ProposalState) -> list[Proposal]:
    """Return proposals in these states (all, when none is named), newest first."""
    query = select(Proposal).order_by(col(Proposal.created_at).desc(), col(Proposal.id))
    return list(session.exec(query.where(col(Proposal.state).in_(states)) if states else query))


def approved_since(session: Session, since: datetime) -> list[Proposal]:
    """Return the proposals that were approved later than `since`, in the order in which they were."""
    query = select(Proposal).where(Proposal.state == "approved", col(Proposal.closed_at) > since)
    return list(session.exec(query.order_by(col(Proposal.closed_at), col(Proposal.id))))


def stands_at(proposal: Proposal, adapter: Adapter) -> str:
    """Return the state that the message of a proposal tells of: its own, and once it is approved, its adapter's."""
    return adapter.state if proposal.state == "approved" else proposal.state


def undrawn_proposals(session: Session) -> list[Proposal]:
    """Return open proposals that no message shows yet, and those whose message says something else; oldest first."""
    decided = select(func.count()).where(Decision.proposal_id == Proposal.id).scalar_subquery()
    state = case((col(Proposal.state) == "approved", col(Adapter.state)), else_=col(Proposal.state))  # `stands_at`
    query = select(Proposal).join(Adapter).where(is_undrawn(Proposal, state, "open", decided))
    return list(session.exec(query.order_by(col(Proposal.created_at))))


def note_shown(
    session: Session, proposal_id: str, channel: str, ts: str, state: str | None, decisions: int | None
) -> None:
    """Note which Slack message shows a proposal, and which state and how many decisions it tells of (None: unknown)."""
    proposal = get_proposal(session, proposal_id)
    proposal.note_shown(channel, ts, state, decisions)
    session.add(proposal)


def draw_again(session: Session) -> None:
    """Have the messages of open proposals drawn again: who can decide has changed."""
    session.exec(update(Proposal).where(col(Proposal.state) == "open").values(shown_state=None, shown_decisions=None))


def note_reminded(session: Session, proposal_id: str, hours: float) -> None:
    """Note that approvers were reminded of a proposal, so many hours before its expiry."""
    proposal = get_proposal(session, proposal_id)
    proposal.reminded_hours = hours
    session.add(proposal)


def decisions_by(session: Session, person_id: str) -> list[Decision]:
    """Return the decisions of a person, and those in their name, the oldest first."""
    query = select(Decision).where(or_(Decision.person_id == person_id, Decision.on_behalf_of == person_id))
    return list(session.exec(query.order_by(col(Decision.created_at), col(Decision.id))))


def decisions_on(session: Session, proposal_id: str) -> list[Decision]:
    """Return the decisions on a proposal in the order in which they were made."""
    return list(
        session.exec(
            select(Decision)
            .where(Decision.proposal_id == proposal_id)
            .order_by(col(Decision.created_at), col(Decision.id))
        )
    )
