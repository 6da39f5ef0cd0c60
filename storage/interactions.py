"""Questions and the answers that were given to them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Index
from sqlmodel import Field, Session, SQLModel, col, delete, func, select

from storage.errors import NotFoundError
from storage.records import json_field, time_field


class Interaction(SQLModel, table=True):
    """One question of one person and the answer that was shown.

    `adapter_digest` is None when the base model answered. `usage` holds prompt and completion token counts, token
    log-probabilities (natural logarithm), seconds to the first token and in all; it is empty when no model answered,
    and only has `finish_reason` `stopped` when somebody stopped the answer, which is then what was said so far.
    `source` says what the answer rests on: `how` is `model`, `examples` (a model that was shown accepted corrections),
    `quoted` (one of a question like it) or `accepted` (one itself); `feedback` holds their ids, `scores` how well each
    one matched, `domain` what the channel's questions are about, `side` on which side of a rollout it was given, if on
    one (`storage.figures.APART`), `in_private` whether two answers were compared where only some can read.
    `thread_ts`, `question_ts` and `answer_ts` are empty where only the asker saw question and answer: Slack does not
    give such messages back. `question` is empty where both were erased, `answer` alone where it repeated what somebody
    had erased.
    """

    __table_args__ = (
        Index("ix_interaction_adapter_digest_created_at", "adapter_digest", "created_at"),
        Index("ix_interaction_asker_id_created_at", "asker_id", "created_at"),
    )

    id: str = Field(primary_key=True)
    workspace_id: str = Field(foreign_key="workspace.id")
    channel: str
    thread_ts: str = Field(index=True)
    question_ts: str = Field(index=True)
    answer_ts: str = Field(index=True)
    asker_id: str = Field(foreign_key="person.id")
    question: str
    answer: str
    adapter_digest: str | None = None
    base_digest: str
    prompt_digest: str
    private: bool = False
    usage: dict[str, Any] = json_field()
    source: dict[str, Any] = json_field()
    created_at: datetime = time_field(index=True)


class UsedFeedback(SQLModel, table=True):
    """That an answer rests on a piece of feedback: its `source` says so too, and this is found from the feedback."""

    __tablename__ = "used_feedback"

    feedback_id: str = Field(primary_key=True)
    interaction_id: str = Field(primary_key=True, foreign_key="interaction.id", ondelete="CASCADE", index=True)


def keep_interaction(session: Session, interaction: Interaction) -> None:
    """Keep an interaction, in place of the one of the same id, with what its answer rests on."""
    session.merge(interaction)
    session.flush()
    forget_used(session, interaction.id)
    for feedback_id in dict.fromkeys(interaction.source.get("feedback", ())):
        session.add(UsedFeedback(feedback_id=feedback_id, interaction_id=interaction.id))


def forget_used(session: Session, interaction_id: str) -> None:
    """Forget what an answer rests on."""
    session.execute(delete(UsedFeedback).where(col(UsedFeedback.interaction_id) == interaction_id))


def get_interaction(session: Session, interaction_id: str) -> Interaction:
    """Return the interaction, or raise NotFoundError, also where it was erased."""
    found = session.get(Interaction, interaction_id)
    if found is None or not found.question:
        raise NotFoundError(f"there is no answer {interaction_id}; it may have been erased.")
    return found


def find_by_answer(session: Session, workspace_id: str, channel: str, answer_ts: str) -> Interaction | None:
    """Return the interaction whose answer is this Slack message, if it is one of ours and not erased."""
    return session.exec(
        select(Interaction).where(
            Interaction.workspace_id == workspace_id,
            Interaction.channel == channel,
            Interaction.answer_ts == answer_ts,
            Interaction.question != "",
        )
    ).first()


def interactions_at(session: Session, channel: str, ts: str) -> list[Interaction]:
    """Return the interaction whose answer is the message at `ts`; else those that answered it; also erased ones."""
    for column in (Interaction.answer_ts, Interaction.question_ts):
        query = select(Interaction).where(Interaction.channel == channel, column == ts)
        if found := list(session.exec(query.order_by(col(Interaction.id)))):
            return found
    return []


def is_in_channel(session: Session, channel: str) -> bool:
    """Whether anything was answered in this channel."""
    return session.exec(select(Interaction.id).where(Interaction.channel == channel).limit(1)).first() is not None


def find_by_question(session: Session, workspace_id: str, channel: str, question_ts: str) -> Interaction | None:
    """Return the interaction that answered this Slack message, if it was answered."""
    return session.exec(
        select(Interaction).where(
            Interaction.workspace_id == workspace_id,
            Interaction.channel == channel,
            Interaction.question_ts == question_ts,
        )
    ).first()


def asked_with(session: Session, words: Sequence[str], since: datetime) -> set[str]:
    """Return who asked, since a moment, a question in which these words follow each other, with a space between."""
    lowered = func.lower(col(Interaction.question))
    query = select(Interaction.asker_id).where(
        col(Interaction.created_at) > since, lowered.contains(" ".join(words), autoescape=True)
    )
    return set(session.exec(query.distinct()))


def thread_history(
    session: Session, workspace_id: str, channel: str, thread_ts: str, limit: int = 6
) -> list[Interaction]:
    """Return the latest `limit` interactions of a thread, oldest first."""
    newest_first = session.exec(
        select(Interaction)
        .where(
            Interaction.workspace_id == workspace_id,
            Interaction.channel == channel,
            Interaction.thread_ts == thread_ts,
        )
        .order_by(col(Interaction.created_at).desc())
        .limit(limit)
    ).all()
    return list(reversed(newest_first))


def is_in_thread(session: Session, workspace_id: str, channel: str, thread_ts: str) -> bool:
    """Whether anything was answered in this thread."""
    return bool(thread_history(session, workspace_id, channel, thread_ts, limit=1))


def count_answers_to(session: Session, asker_id: str, channel: str, thread_ts: str) -> int:
    """Count the answers that one asker got in a thread."""
    return session.exec(
        select(func.count())
        .select_from(Interaction)
        .where(
            Interaction.asker_id == asker_id,
            Interaction.channel == channel,
            Interaction.thread_ts == thread_ts,
        )
    ).one()


def latest_answer(
    session: Session, workspace_id: str, channel: str, thread_ts: str, *, before: str
) -> Interaction | None:
    """Return the last interaction of a thread whose answer came before a message, given by its ts."""
    query = select(Interaction).where(
        Interaction.workspace_id == workspace_id,
        Interaction.channel == channel,
        Interaction.thread_ts == thread_ts,
        Interaction.question != "",
        Interaction.answer_ts < before,  # of equal length, so their order is that of the numbers
    )
    return session.exec(query.order_by(col(Interaction.answer_ts).desc())).first()


def public_questions(session: Session, workspace_id: str, after: datetime, limit: int) -> list[tuple[str, str]]:
    """Return what was asked in this workspace later than `after` where all can read it, and by whom, the newest first.

    At most `limit` of (question, person id).
    """
    query = select(Interaction.question, Interaction.asker_id).where(
        Interaction.workspace_id == workspace_id,
        Interaction.question != "",
        col(Interaction.private).is_(False),
        col(Interaction.created_at) > after,
    )
    return list(session.exec(query.order_by(col(Interaction.created_at).desc()).limit(limit)))


def list_interactions(session: Session) -> list[Interaction]:
    """Return all interactions, oldest first."""
    return list(session.exec(select(Interaction).order_by(col(Interaction.created_at), col(Interaction.id))))


def count_asked(session: Session, person_id: str) -> tuple[int, datetime | None, datetime | None]:
    """Count what a person asked and is not erased; return also when they asked first and last."""
    times = func.count(), func.min(Interaction.created_at), func.max(Interaction.created_at)
    count, first, last = session.exec(
        select(*times).where(Interaction.asker_id == person_id, Interaction.question != "")
    ).one()
    return count, first, last


def latest_asked(session: Session, person_id: str, limit: int) -> list[Interaction]:
    """Return the newest questions of a person, newest first."""
    query = select(Interaction).where(Interaction.asker_id == person_id, Interaction.question != "")
    return list(session.exec(query.order_by(col(Interaction.created_at).desc(), col(Interaction.id)).limit(limit)))


def answers_by(session: Session, adapter_digest: str, limit: int | None) -> tuple[list[Interaction], int]:
    """Return the newest answers of an adapter, `limit` of them (None: all), and how many there are.

    Those whose words were erased are among them, here and in the two below.
    """
    return _answers(session, col(Interaction.adapter_digest) == adapter_digest, limit)


def answers_to(session: Session, person_id: str, limit: int | None) -> tuple[list[Interaction], int]:
    """Return the newest answers that a person got, `limit` of them (None: all), and how many there are."""
    return _answers(session, col(Interaction.asker_id) == person_id, limit)


def answers_from(session: Session, feedback_id: str, limit: int | None) -> tuple[list[Interaction], int]:
    """Return the newest answers that rest on a piece of feedback, `limit` of them (None: all), and how many."""
    used = select(UsedFeedback.interaction_id).where(UsedFeedback.feedback_id == feedback_id)
    return _answers(session, col(Interaction.id).in_(used), limit)


def _answers(session: Session, which: ColumnElement[bool], limit: int | None) -> tuple[list[Interaction], int]:
    newest = select(Interaction).where(which).order_by(col(Interaction.created_at).desc(), col(Interaction.id))
    total = session.exec(select(func.count()).select_from(Interaction).where(which)).one()
    return list(session.exec(newest.limit(limit))), total
