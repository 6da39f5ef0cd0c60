"""What Slack shows of reviews: the message of each correction that waits for one, and what its author was told."""

from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Field, Session, SQLModel, and_, col, func, or_, select

from storage.feedback import WAITING, Feedback
from storage.records import time_field


class ReviewMessage(SQLModel, table=True):
    """Where Slack shows a correction that was sent to review, and what was said of it.

    `message_ts` is empty while no message shows it, `posted_at` when it began to be posted, `shown_state` the state
    that the message tells of (None: not known). `told_at` is the moment of the decision that the author was told of.
    """

    __tablename__ = "review_message"

    feedback_id: str = Field(primary_key=True, foreign_key="feedback.id")
    channel: str = ""
    message_ts: str = ""
    shown_state: str | None = None
    posted_at: datetime | None = time_field(index=True, optional=True)
    told_at: datetime | None = time_field(optional=True)


def review_message(session: Session, feedback_id: str) -> ReviewMessage:
    """Return what is known of the message about a correction; where nothing is, an empty row that is not stored."""
    return session.get(ReviewMessage, feedback_id) or ReviewMessage(feedback_id=feedback_id)


def unposted_reviews(session: Session, limit: int) -> tuple[list[str], int]:
    """Return the corrections that wait for review and that no message shows: `limit` ids, oldest first, and how many.

    The number counts all of them.
    """
    count = select(func.count(col(Feedback.id))).outerjoin(ReviewMessage, _of_feedback()).where(_is_unposted())
    oldest = select(Feedback.id).outerjoin(ReviewMessage, _of_feedback()).where(_is_unposted())
    oldest = oldest.order_by(col(Feedback.created_at), col(Feedback.id)).limit(limit)
    return list(session.exec(oldest)), session.exec(count).one()


def outdated_reviews(session: Session) -> list[str]:
    """Return the corrections whose message tells of another state than theirs, oldest first."""
    query = select(Feedback.id).join(ReviewMessage, _of_feedback()).where(ReviewMessage.message_ts != "")
    query = query.where(col(ReviewMessage.shown_state).is_distinct_from(col(Feedback.state)))
    return list(session.exec(query.order_by(col(Feedback.created_at), col(Feedback.id))))


def posted_since(session: Session, moment: datetime) -> int:
    """Count the corrections that began to be posted later than `moment`."""
    query = select(func.count(col(ReviewMessage.feedback_id))).where(col(ReviewMessage.posted_at) > moment)
    return session.exec(query).one()


def begin_posting(session: Session, feedback_id: str, now: datetime) -> datetime | None:
    """Note that a correction is about to be posted; return when that was begun before (None: never)."""
    message = review_message(session, feedback_id)
    begun, message.posted_at = message.posted_at, message.posted_at or now
    session.add(message)
    return begun


def note_review_shown(session: Session, feedback_id: str, channel: str, ts: str, state: str | None) -> None:
    """Note which Slack message shows a correction, and which state it tells of (None: unknown)."""
    message = review_message(session, feedback_id)
    message.channel, message.message_ts, message.shown_state = channel, ts, state
    session.add(message)


def untold_reviews(session: Session) -> list[Feedback]:
    """Return the reviewed corrections whose authors were not told of the decision, in the order of the decisions."""
    query = select(Feedback).outerjoin(ReviewMessage, _of_feedback())
    query = query.where(col(Feedback.reviewed_at).is_not(None), col(Feedback.state).in_(["accepted", "declined"]))
    query = query.where(col(ReviewMessage.told_at).is_distinct_from(col(Feedback.reviewed_at)))
    return list(session.exec(query.order_by(col(Feedback.reviewed_at), col(Feedback.id))))


def note_told(session: Session, feedback_id: str, decided_at: datetime) -> None:
    """Note that the author of a correction is told of the decision made at that moment."""
    message = review_message(session, feedback_id)
    message.told_at = decided_at
    session.add(message)


def _of_feedback() -> ColumnElement[bool]:
    return col(ReviewMessage.feedback_id) == col(Feedback.id)


def _is_unposted() -> ColumnElement[bool]:
    nowhere = or_(col(ReviewMessage.message_ts).is_(None), col(ReviewMessage.message_ts) == "")
    return and_(col(Feedback.state).in_(WAITING), nowhere)
