"""Versions of the policy: the one in force, those that were before it, and those that somebody proposed."""

from datetime import datetime
from typing import Literal

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, Session, SQLModel, col, func, or_, select, update

from storage.errors import NotFoundError
from storage.records import time_field
from storage.shown import ShownInSlack, is_undrawn

PolicyState = Literal["proposed", "in_force", "rejected", "expired", "void", "withdrawn", "superseded"]
MIN_PREFIX = 6
_ONE = text("state = 'in_force'")


class PolicyVersion(ShownInSlack, table=True):
    """One policy that was proposed; of all of them one is in force, which an index holds, whatever the code does.

    `content` is the policy as canonical JSON (RFC 8785), whose SHA-256 in hex is `digest`. A policy that is proposed
    again is a new version, with the same digest. `under_digest` is the policy in force when it was proposed, by whose
    rules it is decided on; empty for the first of all. `proposed_by` is a person's id, an operator's or the system's.
    `decided_at` is when it came in force or came to nothing; `reminded_hours` is the last reminder that was given, as
    hours before the expiry.
    """

    __tablename__ = "policy_version"
    __table_args__ = (Index("one_policy_in_force", "state", unique=True, sqlite_where=_ONE, postgresql_where=_ONE),)

    id: str = Field(primary_key=True)
    digest: str = Field(index=True)
    name: str
    content: str
    under_digest: str = ""
    state: str = Field(index=True)
    proposed_by: str
    reason: str = ""
    created_at: datetime = time_field(index=True)
    expires_at: datetime = time_field()
    decided_at: datetime | None = time_field(optional=True)
    withdrawn_reason: str | None = None
    reminded_hours: float | None = None

    @property
    def is_first(self) -> bool:
        """Whether it was adopted at the first start by `proposed_by`; nobody proposed it, and nobody decided on it."""
        return not self.under_digest


class PolicyDecision(SQLModel, table=True):
    """What one person decided on one proposed policy, with their own vote or that of `on_behalf_of`; one a person."""

    __tablename__ = "policy_decision"
    __table_args__ = (
        UniqueConstraint("version_id", "person_id", name="one_policy_decision_a_person"),
        UniqueConstraint("version_id", "on_behalf_of", name="one_policy_decision_on_behalf_of_a_person"),
    )

    id: str = Field(primary_key=True)
    version_id: str = Field(foreign_key="policy_version.id", index=True)
    person_id: str = Field(foreign_key="person.id")
    on_behalf_of: str | None = Field(default=None, foreign_key="person.id")
    verdict: str
    reason: str = ""
    created_at: datetime = time_field()

    @property
    def people(self) -> list[str]:
        """The ids of those who have no vote on the version any more: who decided, and in whose name."""
        return [self.person_id, *([self.on_behalf_of] if self.on_behalf_of else [])]


_DIGEST_IN_FORCE = "SELECT digest FROM policy_version WHERE state = 'in_force'"
"""Every change asks this, so it is sent as it is: building it anew took ten times as long as its answer."""


def digest_in_force(session: Session) -> str | None:
    """Return the digest of the policy in force; None as long as no policy ever was."""
    digest: str | None = session.connection().exec_driver_sql(_DIGEST_IN_FORCE).scalar_one_or_none()
    return digest


def version_in_force(session: Session) -> PolicyVersion | None:
    """Return the policy in force; None as long as no policy ever was."""
    return session.exec(select(PolicyVersion).where(PolicyVersion.state == "in_force")).one_or_none()


def list_versions(session: Session, *states: PolicyState) -> list[PolicyVersion]:
    """Return versions in these states (all, when none is named), newest first."""
    query = select(PolicyVersion).order_by(col(PolicyVersion.created_at).desc(), col(PolicyVersion.id))
    return list(session.exec(query.where(col(PolicyVersion.state).in_(states)) if states else query))


def get_version(session: Session, version_id: str) -> PolicyVersion:
    """Return the version, its row locked until the transaction ends, or raise NotFoundError."""
    found = session.get(PolicyVersion, version_id, with_for_update=True)
    if found is None:
        raise NotFoundError(f"there is no version {version_id} of the policy.")
    return found


def find_version(session: Session, reference: str) -> PolicyVersion:
    """Return the newest version with this id, this digest, or a digest that begins so; one that is proposed first.

    Raises:
        NotFoundError: there is none, or the beginning fits several policies.

    """
    exact = session.get(PolicyVersion, reference)
    if exact is not None:
        return exact
    fits = list(
        session.exec(
            select(PolicyVersion)
            .where(col(PolicyVersion.digest).startswith(reference, autoescape=True))
            .order_by((col(PolicyVersion.state) == "proposed").desc(), col(PolicyVersion.created_at).desc())
        )
    )
    if len(reference) < MIN_PREFIX or not fits:
        raise NotFoundError(
            f"there is no policy {reference!r}; `apprentice policy status` lists them. Give {MIN_PREFIX} or more "
            "characters of its digest."
        )
    if len({each.digest for each in fits}) > 1:
        raise NotFoundError(f"several policies have a digest that begins with {reference}; give more of it.")
    return fits[0]


def decisions_on_version(session: Session, version_id: str) -> list[PolicyDecision]:
    """Return the decisions on a proposed policy in the order in which they were made."""
    query = select(PolicyDecision).where(PolicyDecision.version_id == version_id)
    return list(session.exec(query.order_by(col(PolicyDecision.created_at), col(PolicyDecision.id))))


def policy_decisions_by(session: Session, person_id: str) -> list[PolicyDecision]:
    """Return the decisions of a person on policies, and those in their name, the oldest first."""
    own = or_(PolicyDecision.person_id == person_id, PolicyDecision.on_behalf_of == person_id)
    query = select(PolicyDecision).where(own)
    return list(session.exec(query.order_by(col(PolicyDecision.created_at), col(PolicyDecision.id))))


def policies_proposed_by(session: Session, person_id: str) -> list[PolicyVersion]:
    """Return the policies that a person proposed, the oldest first."""
    query = select(PolicyVersion).where(PolicyVersion.proposed_by == person_id)
    return list(session.exec(query.order_by(col(PolicyVersion.created_at), col(PolicyVersion.id))))


def undrawn_versions(session: Session) -> list[PolicyVersion]:
    """Return proposed policies that no message shows yet, and those whose message says something else; oldest first."""
    decided = select(func.count()).where(PolicyDecision.version_id == PolicyVersion.id).scalar_subquery()
    undrawn = is_undrawn(PolicyVersion, col(PolicyVersion.state), "proposed", decided)
    query = select(PolicyVersion).where(undrawn)
    return list(session.exec(query.order_by(col(PolicyVersion.created_at), col(PolicyVersion.id))))


def note_version_shown(
    session: Session, version_id: str, channel: str, ts: str, state: str | None, decisions: int | None
) -> None:
    """Note which message shows a version, and which state and how many decisions it tells of (None: unknown)."""
    version = get_version(session, version_id)
    version.note_shown(channel, ts, state, decisions)
    session.add(version)


def note_version_reminded(session: Session, version_id: str, hours: float) -> None:
    """Note that approvers were reminded of a proposed policy, so many hours before its expiry."""
    version = get_version(session, version_id)
    version.reminded_hours = hours
    session.add(version)


def draw_versions_again(session: Session) -> None:
    """Have the messages of proposed policies drawn again: who can decide has changed."""
    proposed = update(PolicyVersion).where(col(PolicyVersion.state) == "proposed")
    session.exec(proposed.values(shown_state=None, shown_decisions=None))
