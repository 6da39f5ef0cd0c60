"""Which feedback is reviewed before it may teach an adapter, and who may review it."""

from collections.abc import Sequence

from sqlmodel import Session

from governance.ledger import SYSTEM, Ledger
from governance.policy import FeedbackRules, Policy, names
from storage.feedback import Feedback, ReviewReason, feedback_with_ids


def review_reason(rules: FeedbackRules, feedback: Feedback, trusted_here: Sequence[str] = ()) -> ReviewReason | None:
    """Return why somebody else has to look at new feedback; None when nobody has to.

    `trusted_here` are those whom the channel trusts, when it names anybody. The stricter of policy and channel decides,
    unless the policy lets channels trust whom it does not trust itself.
    """
    if feedback.kind != "correction":
        return None
    is_trusted_here = names(trusted_here, feedback.person_id)
    if not (rules.channels_may_trust and is_trusted_here):
        if rules.corrections_need_review:
            return "every_correction"
        if rules.trusted and not names(rules.trusted, feedback.person_id):
            return "not_trusted"
    if trusted_here and not is_trusted_here:
        return "not_trusted"
    if rules.private_need_review and feedback.private:
        return "private"
    return None


def why_not_review(policy: Policy, feedback: Feedback, others: Sequence[Feedback], reviewer_id: str) -> str:
    """Return why this person may not review the feedback, which `others` contradict; empty when they may."""
    if feedback.person_id == reviewer_id:
        return "this correction is yours; somebody else has to review it."
    if any(other.person_id == reviewer_id for other in others):
        return "this correction contradicts one of yours; somebody else has to review it."
    if not names(policy.feedback.reviewers, reviewer_id):
        return f"the policy {policy.name!r} does not let you review corrections."
    return ""


def contest(ledger: Ledger, session: Session, feedback_ids: Sequence[str], stands: Sequence[str]) -> int:
    """Send what is accepted of `feedback_ids` to review: they contradict each other, and `stands`. Return how many."""
    accepted = [each for each in feedback_with_ids(session, sorted(feedback_ids)) if each.state == "accepted"]
    for feedback in accepted:
        others = [each for each in (*feedback_ids, *stands) if each != feedback.id]
        feedback.review_reason, feedback.contradicts = "contradiction", others
        feedback.reviewed_by = feedback.reviewed_at = None
        ledger.move(session, feedback, "pending_review", actor=SYSTEM, reason=f"contradicts {', '.join(others)}")
    return len(accepted)
