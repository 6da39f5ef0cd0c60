"""Blind comparisons: two answers to one question, shown without names, and which of them the person preferred."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement
from sqlmodel import Field, Session, SQLModel, and_, col, func, or_, select

from storage.errors import NotFoundError
from storage.feedback import Feedback
from storage.interactions import Interaction
from storage.records import json_field, time_field

Preferred = Literal["a", "b", "both", "neither"]


class BlindComparison(SQLModel, table=True):
    """Two answers that one person was shown as A and B; which adapter's was A was left to chance, and is kept here.

    `a_adapter` and `b_adapter` were asked (None: the base model). `preferred` is None until the person has chosen;
    `feedback_ids` is what they said with that. It goes together with either of its answers.
    """

    __tablename__ = "blind_comparison"

    id: str = Field(primary_key=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    a_id: str = Field(foreign_key="interaction.id", ondelete="CASCADE", index=True)
    b_id: str = Field(foreign_key="interaction.id", ondelete="CASCADE", index=True)
    a_adapter: str | None = Field(default=None, foreign_key="adapter.digest")
    b_adapter: str | None = Field(default=None, foreign_key="adapter.digest")
    preferred: str | None = None
    feedback_ids: list[str] = json_field(list)
    created_at: datetime = time_field()
    chosen_at: datetime | None = time_field(optional=True)


class Preferences(NamedTuple):
    """How often an adapter's answer was preferred, of the comparisons in which one of the two answers was."""

    preferred: int
    compared: int


def get_comparison(session: Session, comparison_id: str) -> BlindComparison:
    """Return the comparison, locked until the transaction ends, or raise NotFoundError."""
    found = session.get(BlindComparison, comparison_id, with_for_update=True)
    if found is None:
        raise NotFoundError("I do not have these two answers any more; they may have been erased.")
    return found


def answers_of(session: Session, comparison: BlindComparison) -> tuple[Interaction, Interaction]:
    """Return answer A and answer B."""
    a, b = session.get(Interaction, comparison.a_id), session.get(Interaction, comparison.b_id)
    assert a is not None  # a comparison goes together with its answers
    assert b is not None
    return a, b


def said_together(session: Session, feedback: Feedback) -> Sequence[str]:
    """Return the ids of what was said with one choice between two answers, this one's too; none for other feedback."""
    query = select(BlindComparison).where(
        or_(BlindComparison.a_id == feedback.interaction_id, BlindComparison.b_id == feedback.interaction_id)
    )
    found = session.exec(query).first()
    return found.feedback_ids if found is not None and feedback.id in found.feedback_ids else []


def count_preferences(session: Session, adapter_digest: str | None) -> Preferences:
    """Count the choices for one of two answers in which an adapter (None: the base model) was asked for one.

    What was taken back does not count.
    """
    won = or_(
        and_(BlindComparison.preferred == "a", _is(BlindComparison.a_adapter, adapter_digest)),
        and_(BlindComparison.preferred == "b", _is(BlindComparison.b_adapter, adapter_digest)),
    )
    asked = or_(_is(BlindComparison.a_adapter, adapter_digest), _is(BlindComparison.b_adapter, adapter_digest))
    return Preferences(_count(session, won), _count(session, asked))


def _is(column: str | None, adapter_digest: str | None) -> ColumnElement[bool]:
    return col(column).is_not_distinct_from(adapter_digest)


def _count(session: Session, which: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(BlindComparison)
    query = query.join(Feedback, col(Feedback.interaction_id).in_((BlindComparison.a_id, BlindComparison.b_id)))
    return session.exec(query.where(Feedback.kind == "preference", Feedback.state == "accepted", which)).one()
