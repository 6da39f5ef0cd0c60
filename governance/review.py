"""Which feedback is reviewed before it may teach an adapter, what a reviewer looks at, and who may review it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlmodel import Session

from governance.ledger import SYSTEM, Ledger
from governance.poisoning.findings import in_words as suspicions_in_words
from governance.policy import FeedbackRules, Policy
from governance.privacy.findings import in_words
from governance.roles import why_lacking
from governance.user_groups import Principal, UserGroups, names
from storage.feedback import WAITING, Feedback, ReviewReason, feedback_with_ids, get_feedback
from storage.people import names_of

REASONS: Mapping[str, str] = {
    "every_correction": "the policy has every correction reviewed",
    "not_trusted": "its author is not among those whom the policy trusts",
    "new_person": "few corrections of its author were accepted by others so far",
    "private": "it was said in a direct message",
    "contradiction": "other corrections of the same question say otherwise",
    "personal_data": "it may hold personal data that should not be learned",
}
"""Each `ReviewReason` in words; what is `suspicious` has reasons of its own (`governance.poisoning.findings`)."""


@dataclass(frozen=True)
class Case:
    """What a reviewer looks at: a correction, its author's name, what contradicts it, each with its author's name.

    `together` is what it was found with when it was suspected. `reviewer` is the name of whoever decided, empty while
    nobody has.
    """

    feedback: Feedback
    author: str
    others: list[tuple[Feedback, str]]
    reviewer: str
    together: list[tuple[Feedback, str]] = field(default_factory=list)

    @property
    def private(self) -> bool:
        """Whether any of it is not for everybody: said where not all could read it, or set aside for what it holds."""
        shown = (self.feedback, *(other for other, _ in (*self.others, *self.together)))
        return any(each.private or each.set_aside for each in shown)

    @property
    def why(self) -> str:
        """Why it was sent to review, in words; empty when it never was."""
        return why_reviewed(self.feedback)


def why_reviewed(feedback: Feedback) -> str:
    """Say why feedback was sent to review, in words; empty when it never was."""
    reasons = []
    if feedback.set_aside:
        reasons.append(f"it may hold {in_words(feedback.set_aside)}")
    elif feedback.review_reason and feedback.review_reason in REASONS:
        reasons.append(REASONS[feedback.review_reason])
    if feedback.suspected:
        reasons.append(suspicions_in_words(feedback.suspected))
    return ", and ".join(reasons)


def read_case(session: Session, feedback_id: str) -> Case:
    """Return all about one correction, or raise NotFoundError."""
    feedback = get_feedback(session, feedback_id)
    others, together = (
        list(feedback_with_ids(session, ids or [])) for ids in (feedback.contradicts, feedback.found_with)
    )
    people = [feedback.person_id, feedback.reviewed_by or "", *(each.person_id for each in (*others, *together))]
    known = {person: person for person in people} | names_of(session, people)
    return Case(
        feedback=feedback,
        author=known[feedback.person_id],
        others=[(other, known[other.person_id]) for other in others],
        together=[(other, known[other.person_id]) for other in together],
        reviewer=known[feedback.reviewed_by or ""],
    )


def review_reason(
    rules: FeedbackRules,
    feedback: Feedback,
    groups: UserGroups,
    trusted_here: Sequence[str] = (),
    accepted_before: int = 0,
) -> ReviewReason | None:
    """Return why somebody else has to look at new feedback; None when nobody has to.

    `accepted_before` counts the corrections of its author that reviewers accepted, less those that they declined.
    `trusted_here` are those whom the channel trusts, when it names anybody. The stricter of policy and channel decides,
    unless the policy lets channels trust whom it does not trust itself.
    """
    if feedback.kind != "correction":
        return None
    is_trusted_here = names(trusted_here, feedback.person_id, groups)
    of_policy = _reason_of_policy(rules, feedback, groups, accepted_before)
    if of_policy and not (rules.channels_may_trust and is_trusted_here):
        return of_policy
    if trusted_here and not is_trusted_here:
        return "not_trusted"
    if rules.private_need_review and feedback.private:
        return "private"
    return None


def _reason_of_policy(
    rules: FeedbackRules, feedback: Feedback, groups: UserGroups, accepted_before: int
) -> ReviewReason | None:
    if rules.corrections_need_review:
        return "every_correction"
    if rules.trusted:
        return None if names(rules.trusted, feedback.person_id, groups) else "not_trusted"
    return "new_person" if accepted_before < rules.trusted_from else None


def why_not_waiting(feedback: Feedback) -> str:
    """Return why a decision on the feedback comes too late, or too early; empty when it waits for one."""
    if feedback.state in WAITING:
        return ""
    return f"this correction does not wait for a review: it is {feedback.state}."


def read_related(session: Session, feedback: Feedback) -> list[Feedback]:
    """Return what contradicts a correction, and what it was found with: whoever said any of it does not review it."""
    return list(feedback_with_ids(session, [*(feedback.contradicts or []), *(feedback.found_with or [])]))


def why_not_review(policy: Policy, feedback: Feedback, others: Sequence[Feedback], reviewer: Principal) -> str:
    """Return why somebody may not review the feedback, to which `others` are related; empty when they may."""
    if feedback.person_id == reviewer.id:
        return "this correction is yours; somebody else has to review it."
    own = {other.id for other in others if other.person_id == reviewer.id}
    if own & {*(feedback.contradicts or [])}:
        return "this correction contradicts one of yours; somebody else has to review it."
    if own:
        return "this correction was found together with one of yours; somebody else has to review it."
    return why_lacking(policy, "review", reviewer)


def contest(ledger: Ledger, session: Session, feedback_ids: Sequence[str], stands: Sequence[str]) -> int:
    """Send what is accepted of `feedback_ids` to review: they contradict each other, and `stands`. Return how many."""
    accepted = [each for each in feedback_with_ids(session, sorted(feedback_ids)) if each.state == "accepted"]
    for feedback in accepted:
        others = [each for each in (*feedback_ids, *stands) if each != feedback.id]
        feedback.review_reason, feedback.contradicts = "contradiction", others
        feedback.reviewed_by = feedback.reviewed_at = feedback.reviewer_reason = None
        ledger.move(session, feedback, "pending_review", actor=SYSTEM, reason=f"contradicts {', '.join(others)}")
    return len(accepted)
