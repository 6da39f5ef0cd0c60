"""Corrections that look like an attempt to steer the assistant are sent to review, before they teach or answer anybody.

What a reviewer accepted is settled: it is neither sent again nor evidence against what comes later.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlmodel import Session

from governance.ledger import SYSTEM, Ledger, digests_of
from governance.poisoning.detection import find
from governance.poisoning.findings import Finding, Suspicion, in_words
from governance.poisoning.remarks import Remark
from governance.poisoning.rules import PoisoningRules
from storage.feedback import IMPORTED, Feedback, accepted_by_others, feedback_with_ids, lately_corrected_by_all
from storage.interactions import asked_with

MOST_LOOKED_AT = 2_000
"""Corrections, the newest: 0.15 s on one core, 0.03 s for 500, measured on the feedback of `bench curation`."""


MOST_FOUND_WITH = 50
"""Other corrections that are named with one: of each other author's the first, then more, in the order of their ids."""


@dataclass
class _Suspected:
    """Why one correction is suspected, and in what else that was seen."""

    why: set[Suspicion] = field(default_factory=set)
    others: set[str] = field(default_factory=set)


def suspect(ledger: Ledger, session: Session) -> int:
    """Look at what was corrected lately, in all domains; return how many corrections are sent to review by that.

    Those that wait for a review anyway are marked, so that the reviewer is told.
    """
    rules, now = ledger.policy.poisoning, ledger.clock()
    since = now - timedelta(days=rules.look_back_days)
    said = [each for each in lately_corrected_by_all(session, since, MOST_LOOKED_AT) if _counts(ledger, each)]
    authors = {each.id: each.person_id for each in said}
    trust = accepted_by_others(session, set(authors.values()))
    found = find([_remark(each) for each in said], rules, trust, ledger.policy.canaries)
    kept = [each for each in found if not _is_common(session, each, rules, authors, since)]
    suspected = _by_correction(kept)
    return sum(
        _mark(ledger, session, each, sorted(suspected[each.id].why), _most_telling(suspected[each.id].others, authors))
        for each in feedback_with_ids(session, sorted(suspected))
    )


def _counts(ledger: Ledger, feedback: Feedback) -> bool:
    """Tell whether a correction can teach or answer anybody but its author."""
    return ledger.policy.privacy.learns(private=feedback.private, reviewed=False)


def _remark(feedback: Feedback) -> Remark:
    return Remark(
        id=feedback.id,
        person=feedback.person_id,
        question=feedback.question,
        answer=feedback.answer,
        text=feedback.text,
        at=feedback.created_at,
        imported=feedback.source == IMPORTED,
        settled=feedback.reviewed_at is not None,
    )


def _is_common(
    session: Session, finding: Finding, rules: PoisoningRules, authors: dict[str, str], since: datetime
) -> bool:
    """Tell whether a phrase is no trigger because enough others ask with it too."""
    if not finding.phrase:
        return False
    others = asked_with(session, finding.phrase, since) - {authors[each] for each in finding.ids}
    return len(others) >= rules.trigger_askers


def _by_correction(findings: Iterable[Finding]) -> dict[str, _Suspected]:
    suspected: defaultdict[str, _Suspected] = defaultdict(_Suspected)
    for finding in findings:
        for each in finding.ids:
            suspected[each].why.add(finding.suspicion)
            if finding.suspicion != "person_burst":  # its author reviews none of these anyway
                suspected[each].others |= finding.ids - {each}
    return suspected


def _most_telling(ids: Iterable[str], authors: dict[str, str]) -> list[str]:
    ordered = sorted(ids)
    first = {authors[each]: each for each in reversed(ordered)}
    return [*first.values(), *(each for each in ordered if first[authors[each]] != each)][:MOST_FOUND_WITH]


def _mark(ledger: Ledger, session: Session, feedback: Feedback, why: list[Suspicion], others: list[str]) -> bool:
    """Keep what was found of a correction, with a record when that is news; return whether it is sent to review."""
    if feedback.reviewed_at is not None:
        return False
    is_news = feedback.suspected != why
    feedback.suspected, feedback.found_with = list(why), others
    session.add(feedback)
    reason = f"{in_words(why)}; found with {', '.join(others) or 'nothing else'}"
    if feedback.state == "accepted":
        feedback.review_reason = "suspicious"
        ledger.move(session, feedback, "pending_review", actor=SYSTEM, reason=reason)
        return True
    if is_news:
        ledger.record(session, "feedback.suspected", feedback.id, digests_of(feedback), actor=SYSTEM, reason=reason)
    return False
