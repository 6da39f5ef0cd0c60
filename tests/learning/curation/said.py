"""Feedback as curation sees it, with a question of its own, and everything that a snapshot says of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from learning.curation import Snapshot

START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    id: str
    person_id: str = "ada"
    kind: str = "correction"
    question: str = "Where is the kiln?"
    answer: str = "In the garden."
    text: str = "The kiln is in hall Ember."
    private: bool = False
    created_at: datetime = START
    review_reason: str | None = None
    reviewed_at: datetime | None = None


def vote(feedback_id: str, kind: str, answer: str = "In the garden.", person_id: str = "ada", **others: object) -> Said:
    return Said(feedback_id, person_id, kind, answer=answer, text="", **others)  # type: ignore[arg-type]


def later(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def left_out(snapshot: Snapshot) -> dict[str, str]:
    return {each.feedback_id: each.rule for each in snapshot.left_out}


def named(snapshot: Snapshot) -> set[str]:
    records = [*snapshot.rows, *snapshot.pairs, *snapshot.thumbs]
    return {each for record in records for each in record.feedback_ids}
