"""What adapters did besides the answers that people see: shadow answers, which nobody is shown, and failures."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Field, Session, SQLModel, col, func, select

from storage.interactions import Interaction
from storage.records import json_field, time_field


class ShadowAnswer(SQLModel, table=True):
    """What an adapter in shadow would have answered to a question that another one answered.

    `usage` is as that of an interaction; it and `answer` are empty where it failed, for the reason `error`.
    """

    __tablename__ = "shadow_answer"

    interaction_id: str = Field(primary_key=True, foreign_key="interaction.id")
    adapter_digest: str = Field(primary_key=True, foreign_key="adapter.digest", index=True)
    answer: str = ""
    error: str = ""
    usage: dict[str, Any] = json_field(dict)
    created_at: datetime = time_field(index=True)


class AnswerFailure(SQLModel, table=True):
    """An attempt at a question that an adapter (None: the base model) failed to answer; `domain` is a label."""

    __tablename__ = "answer_failure"

    id: str = Field(primary_key=True)
    adapter_digest: str | None = Field(default=None, foreign_key="adapter.digest", index=True)
    domain: str
    error: str
    created_at: datetime = time_field(index=True)


def count_failures(
    session: Session,
    adapter_digest: str | None,
    after: datetime,
    before: datetime | None = None,
    label: str | None = None,
) -> int:
    """Count the attempts that an adapter (None: the base model) failed at in this time, of all labels or of one."""
    query = select(func.count()).select_from(AnswerFailure)
    query = query.where(
        col(AnswerFailure.adapter_digest).is_not_distinct_from(adapter_digest), col(AnswerFailure.created_at) > after
    )
    if label is not None:
        query = query.where(AnswerFailure.domain == label)
    return session.exec(query.where(col(AnswerFailure.created_at) <= before) if before else query).one()


def count_all_failures(session: Session) -> int:
    """Count all attempts that failed, of whatever adapter."""
    return session.exec(select(func.count()).select_from(AnswerFailure)).one()


def shadow_answers(session: Session, adapter_digest: str) -> Sequence[tuple[ShadowAnswer, Interaction]]:
    """Return the shadow answers of an adapter with what was answered in truth, oldest first."""
    query = select(ShadowAnswer, Interaction).join(Interaction, col(Interaction.id) == ShadowAnswer.interaction_id)
    query = query.where(ShadowAnswer.adapter_digest == adapter_digest)
    return session.exec(query.order_by(col(ShadowAnswer.created_at), col(ShadowAnswer.interaction_id))).all()
