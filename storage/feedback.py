"""What people said of answers: votes and corrections. Rows are added, never edited; a person's later one supersedes."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import sqlalchemy
from sqlmodel import Field, Session, SQLModel, col, func, or_, select

from storage.errors import InvalidFeedbackError, NotFoundError
from storage.records import JSON_TYPE, time_field

FeedbackKind = Literal["up", "down", "correction"]
FeedbackState = Literal["received", "quarantined", "pending_review", "accepted", "declined", "erased"]
ReviewReason = Literal["every_correction", "not_trusted", "private", "contradiction"]
MAX_CORRECTION_LENGTH = 4_000
"""Characters; Slack's own multi-line input takes no more than 3,000, imports may be a little longer."""
CURATED = (
    "id", "person_id", "kind", "question", "answer", "text", "private", "created_at", "review_reason", "reviewed_at",
)  # fmt: skip
"""The columns that curation reads."""


class Feedback(SQLModel, table=True):
    """One vote or correction of one person on one answer. `text` is the corrected answer; empty for votes.

    `question` and `answer` are what the person saw, kept here so that imported feedback needs no interaction.
    `review_reason` says why it was sent to review (None: it never was), `contradicts` are the ids of feedback that says
    otherwise, `reviewed_by` and `reviewed_at` tell of the decision (None: none yet).
    """

    id: str = Field(primary_key=True)
    workspace_id: str = Field(foreign_key="workspace.id", index=True)
    interaction_id: str | None = Field(default=None, foreign_key="interaction.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    kind: str
    question: str
    answer: str
    text: str = ""
    source: str
    private: bool = False
    state: str = Field(index=True)
    created_at: datetime = time_field(index=True)
    review_reason: str | None = None
    contradicts: list[str] | None = Field(default=None, sa_type=JSON_TYPE)
    reviewed_by: str | None = None
    reviewed_at: datetime | None = time_field(optional=True)


def check_correction(text: str, limit: int = MAX_CORRECTION_LENGTH) -> str:
    """Return the correction without surrounding white space.

    Raises:
        InvalidFeedbackError: it is empty, or longer than `limit` characters.

    """
    stripped = text.replace("\x00", "").encode(errors="replace").decode().strip()  # PostgreSQL keeps neither
    if not stripped:
        raise InvalidFeedbackError("The corrected answer is empty. Write the answer that should have been given.")
    if len(stripped) > limit:
        raise InvalidFeedbackError(
            f"The corrected answer has {len(stripped):,} characters; at most {limit:,} are kept. "
            "Shorten it to the answer itself."
        )
    return stripped


def get_feedback(session: Session, feedback_id: str) -> Feedback:
    """Return the feedback, or raise NotFoundError."""
    found = session.get(Feedback, feedback_id)
    if found is None:
        raise NotFoundError(f"there is no feedback {feedback_id}.")
    return found


def list_feedback(
    session: Session, *, state: FeedbackState | None = None, after: datetime | None = None
) -> list[Feedback]:
    """Return feedback in the order in which it came."""
    query = select(Feedback).order_by(col(Feedback.created_at), col(Feedback.id))
    if state is not None:
        query = query.where(Feedback.state == state)
    if after is not None:
        query = query.where(col(Feedback.created_at) > after)
    return list(session.exec(query))


def insert_accepted(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows at once as accepted, each with all that has no default; the audit log does not hear of them."""
    given = [
        {"text": "", "private": False, "interaction_id": None, "review_reason": None, "contradicts": None,
         "reviewed_by": None, "reviewed_at": None, **row, "state": "accepted"}
        for row in rows
    ]  # fmt: skip
    session.execute(sqlalchemy.insert(Feedback), given)


def accepted_corrections(session: Session, batch: int = 1_000) -> Iterator[Feedback]:
    """Give all accepted corrections, holding `batch` of them in memory at a time; in no order."""
    query = select(Feedback).where(Feedback.kind == "correction", Feedback.state == "accepted")
    yield from session.exec(query.execution_options(yield_per=batch))


def corrected_questions(session: Session, workspace_id: str, after: datetime, limit: int) -> list[str]:
    """Return what accepted corrections of this workspace that came later than `after` are about, the newest first.

    What was corrected in private is left out.
    """
    query = select(Feedback.question).where(
        Feedback.kind == "correction",
        Feedback.state == "accepted",
        Feedback.workspace_id == workspace_id,
        col(Feedback.private).is_(False),
        col(Feedback.created_at) > after,
    )
    return list(session.exec(query.order_by(col(Feedback.created_at).desc()).limit(limit)))


def feedback_with_ids(session: Session, ids: Sequence[str], batch: int = 500) -> Iterator[Feedback]:
    """Give the feedback with these ids, as far as it is still there."""
    for start in range(0, len(ids), batch):
        yield from session.exec(select(Feedback).where(col(Feedback.id).in_(ids[start : start + batch])))


def stream_accepted(session: Session, batch: int = 2_000) -> Iterator[Any]:
    """Give what curation reads of all accepted feedback, holding `batch` of them in memory at a time; in no order."""
    query = sqlalchemy.select(*(getattr(Feedback, name) for name in CURATED)).where(col(Feedback.state) == "accepted")
    yield from session.execute(query.execution_options(yield_per=batch))


def count_feedback(session: Session, state: FeedbackState) -> int:
    """Count the feedback in a state."""
    return session.exec(select(func.count()).select_from(Feedback).where(Feedback.state == state)).one()


def count_corrections(session: Session, *, after: datetime | None = None) -> int:
    """Count accepted corrections, all of them or those that came, or were accepted in review, later than `after`."""
    query = (
        select(func.count()).select_from(Feedback).where(Feedback.kind == "correction", Feedback.state == "accepted")
    )
    if after is not None:
        query = query.where(or_(col(Feedback.created_at) > after, col(Feedback.reviewed_at) > after))
    return session.exec(query).one()
