"""Personal data and secrets in feedback: masked before it is kept, or set aside for a reviewer, as the policy says.

What was stored before these rules, or under others, is looked at before the next snapshot is built.
"""

from collections.abc import Sequence

from sqlmodel import Session

from governance.ledger import SYSTEM, Ledger, digests_of
from governance.privacy.detection import find
from governance.privacy.findings import Kind, in_words, masked
from governance.privacy.rules import PrivacyRules, Treatment
from storage.feedback import Feedback

TEXTS = ("question", "answer", "text")


def screen(feedback: Feedback, rules: PrivacyRules) -> None:
    """Mask what is to be masked in all texts of the feedback, and note of which kinds that, and what is set aside, is.

    A vote has no text of its author's that a reviewer could judge, so what would be set aside is masked in it.
    """
    hidden, doubtful = set(feedback.masked or []), set[str]()
    for name in TEXTS:
        text = getattr(feedback, name)
        found = find(text, rules.own_domains)
        to_mask = [each for each in found if _treatment(feedback, rules, each.kind) == "mask"]
        doubtful |= {each.kind for each in found if _treatment(feedback, rules, each.kind) == "quarantine"}
        hidden |= {each.kind for each in to_mask}
        setattr(feedback, name, masked(text, to_mask))
    feedback.masked, feedback.set_aside = sorted(hidden) or None, sorted(doubtful) or None
    feedback.checked_by = rules.stamp


def _treatment(feedback: Feedback, rules: PrivacyRules, kind: Kind) -> Treatment:
    treatment = rules.treatment(kind)
    return "mask" if treatment == "quarantine" and feedback.kind != "correction" else treatment


def screen_stored(ledger: Ledger, session: Session, batch: Sequence[Feedback]) -> None:
    """Look at accepted feedback once more; what is changed, or set aside, by that has an audit record.

    What a reviewer accepted in spite of what it holds is not set aside again.
    """
    for feedback in batch:
        before = digests_of(feedback)["content"]
        screen(feedback, ledger.policy.privacy)
        session.add(feedback)
        if (after := digests_of(feedback)["content"]) != before:
            what = in_words(feedback.masked or [])
            digests = {"before": before, "after": after}
            ledger.record(session, "feedback.masked", feedback.id, digests, actor=SYSTEM, reason=f"masked {what}")
        seen = feedback.review_reason == "personal_data" and feedback.reviewed_at is not None
        if feedback.set_aside and not seen:
            feedback.review_reason, feedback.reviewed_at = "personal_data", None
            feedback.reviewed_by = feedback.reviewer_reason = None
            why = f"may hold {in_words(feedback.set_aside)}"
            ledger.move(session, feedback, "quarantined", actor=SYSTEM, reason=why)
