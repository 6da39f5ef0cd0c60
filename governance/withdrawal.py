"""Taking back what one said: for good, and only one's own. A vote taken back lets no earlier one count again.

What was said of two answers with one choice is taken back as one.
"""

from sqlmodel import Session

from governance.ledger import Ledger
from storage.comparisons import said_together
from storage.feedback import Feedback, feedback_with_ids, standing_votes


def why_not_withdraw(feedback: Feedback, person_id: str) -> str:
    """Return why this person may not take the feedback back; empty when they may."""
    return "" if feedback.person_id == person_id else "this is not yours; only who said it can take it back."


def withdraw(ledger: Ledger, session: Session, feedback: Feedback) -> list[Feedback]:
    """Take back a vote, with this person's earlier ones on the answer, a correction, or a choice between two answers.

    Done before, nothing changes.

    Returns:
        What is taken back by this, `feedback` last.

    Raises:
        IllegalStateError: it was erased.

    """
    if feedback.state == "withdrawn":
        return [feedback]
    along = [*_replaced_votes(session, feedback), *_said_with(session, feedback)]
    for other in along:
        ledger.move(session, other, "withdrawn", actor=feedback.person_id, reason=f"with {feedback.id}")
    ledger.move(session, feedback, "withdrawn", actor=feedback.person_id)
    return [*along, feedback]


def _replaced_votes(session: Session, feedback: Feedback) -> list[Feedback]:
    if feedback.kind == "correction" or feedback.interaction_id is None:
        return []
    votes = standing_votes(session, feedback.interaction_id, feedback.person_id)
    return [vote for vote in votes if (vote.created_at, vote.id) < (feedback.created_at, feedback.id)]


def _said_with(session: Session, feedback: Feedback) -> list[Feedback]:
    together = feedback_with_ids(session, said_together(session, feedback))
    return [other for other in together if other.id != feedback.id and other.state not in {"withdrawn", "erased"}]
