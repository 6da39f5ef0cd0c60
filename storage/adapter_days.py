"""What each adapter did on each day, in numbers that are kept for good: they outlive the answers that they count."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import sqlalchemy
from sqlmodel import Field, Session, SQLModel, col, select

from storage.feedback import Feedback
from storage.interactions import Interaction
from storage.shadows import AnswerFailure

NO_ADAPTER = ""
"""Stands for the base model."""


COUNTED_AGAIN = 30
"""Days, today among them, whose votes may still come."""


class AdapterDay(SQLModel, table=True):
    """One day (UTC) of one adapter, or of the base model where the digest is empty.

    `answers` it gave that day; `up`, `down` and `corrected` are how people judged these by now, each person's last vote
    on an answer, and each corrected answer once; `failed` attempts. `seconds` and `first_token` hold the 50 % and 95 %
    quantiles of the time to the end of an answer and to its first token; both are empty without any.
    """

    __tablename__ = "adapter_day"

    adapter_digest: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    answers: int
    up: int
    down: int
    corrected: int
    failed: int
    seconds_p50: float | None = None
    seconds_p95: float | None = None
    first_token_p50: float | None = None
    first_token_p95: float | None = None


def adapter_days(session: Session, adapter_digest: str | None) -> Sequence[AdapterDay]:
    """Return what is kept of an adapter (None: the base model), day by day."""
    query = select(AdapterDay).where(AdapterDay.adapter_digest == (adapter_digest or NO_ADAPTER))
    return session.exec(query.order_by(col(AdapterDay.day))).all()


def keep_days(session: Session, now: datetime) -> None:
    """Count the latest days anew, because votes come late; one of which answers were removed keeps what was counted."""
    today = now.astimezone(UTC).date()
    for day in (today - timedelta(days=number) for number in range(COUNTED_AGAIN)):
        for row in _count(session, day):
            kept = session.get(AdapterDay, (row.adapter_digest, row.day))
            if kept is None or kept.answers <= row.answers:
                session.merge(row)


def _count(session: Session, day: date) -> Iterator[AdapterDay]:
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    answered: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    owner: dict[str, str] = {}
    given = select(Interaction.id, Interaction.adapter_digest, Interaction.usage, Interaction.source)
    for answer, digest, usage, source in session.exec(given.where(_within(Interaction.created_at, start, end))):
        if source.get("how") not in {"accepted", "quoted"}:
            owner[answer] = digest or NO_ADAPTER
            answered[owner[answer]].append(usage)
    failed = _failures(session, start, end)
    judged = _verdicts(session, owner, start, end)
    for digest in {*answered, *failed}:
        seconds = _quantiles(usage.get("seconds") for usage in answered[digest])
        first = _quantiles(usage.get("seconds_to_first_token") for usage in answered[digest])
        yield AdapterDay(
            adapter_digest=digest, day=day, answers=len(answered[digest]), failed=failed.get(digest, 0),
            **{kind: sum(owner[answer] == digest for answer in judged[kind]) for kind in ("up", "down", "corrected")},
            seconds_p50=seconds[0], seconds_p95=seconds[1], first_token_p50=first[0], first_token_p95=first[1],
        )  # fmt: skip


def _within(moment: Any, start: datetime, end: datetime) -> sqlalchemy.ColumnElement[bool]:
    return sqlalchemy.and_(col(moment) >= start, col(moment) < end)


def _failures(session: Session, start: datetime, end: datetime) -> dict[str, int]:
    query = sqlalchemy.select(col(AnswerFailure.adapter_digest), sqlalchemy.func.count())
    query = query.where(_within(AnswerFailure.created_at, start, end)).group_by(col(AnswerFailure.adapter_digest))
    return {digest or NO_ADAPTER: count for digest, count in session.execute(query)}


def _verdicts(session: Session, owner: dict[str, str], start: datetime, end: datetime) -> dict[str, list[str]]:
    """Return the answers of that time that were voted up, voted down and corrected, a vote of each person once."""
    query = select(Feedback.interaction_id, Feedback.person_id, Feedback.kind)
    query = query.join(Interaction, col(Interaction.id) == Feedback.interaction_id)
    query = query.where(_within(Interaction.created_at, start, end))
    query = query.where(col(Feedback.state).in_(("accepted", "pending_review")))
    votes: dict[tuple[str, str], str] = {}
    corrected: dict[str, None] = {}
    for answer, person, kind in session.exec(query.order_by(col(Feedback.created_at), col(Feedback.id))):
        if answer not in owner:
            continue
        if kind == "correction":
            corrected[answer] = None
        else:
            votes[answer, person] = kind
    said: dict[str, list[str]] = {"up": [], "down": [], "corrected": list(corrected)}
    for (answer, _), kind in votes.items():
        said[kind].append(answer)
    return said


def _quantiles(values: Iterable[float | None]) -> tuple[float | None, float | None]:
    known = sorted(value for value in values if value is not None)
    if not known:
        return None, None
    return known[(len(known) - 1) // 2], known[round(0.95 * (len(known) - 1))]
