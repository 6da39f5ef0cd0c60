"""Blind comparisons: which two adapters are compared, and what a person's choice between their answers says."""

from datetime import datetime
from typing import NamedTuple

from sqlmodel import Session

from governance.errors import NotEntitledError
from storage.adapters import list_adapters
from storage.comparisons import BlindComparison, Preferred, answers_of, get_comparison
from storage.domains import DEFAULT_DOMAIN
from storage.feedback import Feedback, FeedbackKind
from storage.interactions import Interaction
from storage.records import new_id

SOURCE = "comparison"
"""The way in which feedback came that is a choice between two answers."""
VOTES: dict[Preferred, FeedbackKind] = {"both": "up", "neither": "down"}
"""Who prefers neither of two answers says something of each; who prefers one says nothing of either by itself."""


class Rivals(NamedTuple):
    """The two that are compared, by their digests (None: the base model)."""

    serving: str | None
    other: str | None


def rivals(session: Session, serving: str | None, domain: str = DEFAULT_DOMAIN) -> Rivals | None:
    """Return what `serving` (None: the base model) is compared with in a domain; None when there is nothing else.

    The domain's newest adapter that waits for approval, because people are about to decide on it; else its canary; else
    the base model.
    """
    newer = [*list_adapters(session, "proposed"), *list_adapters(session, "canary")]
    other = next((adapter.digest for adapter in newer if adapter.domain == domain), None)
    return None if other == serving else Rivals(serving, other)


def own_comparison(session: Session, comparison_id: str, person_id: str) -> BlindComparison:
    """Return a comparison of this person's, locked until the transaction ends.

    Raises:
        NotFoundError: it is not there any more.
        NotEntitledError: it was shown to somebody else.

    """
    comparison = get_comparison(session, comparison_id)
    if comparison.person_id != person_id:
        raise NotEntitledError("these two answers were given to somebody else, who alone chooses between them.")
    return comparison


def choose(session: Session, comparison: BlindComparison, preferred: Preferred, now: datetime) -> list[Feedback]:
    """Note what somebody preferred; return the feedback that this is, `received`."""
    a, b = answers_of(session, comparison)
    if preferred in VOTES:
        said = [_said(about, VOTES[preferred], about.answer, "", now) for about in (a, b)]
    else:
        better, worse = (a, b) if preferred == "a" else (b, a)
        said = [_said(better, "preference", worse.answer, better.answer, now)]
    comparison.preferred, comparison.chosen_at = preferred, now
    comparison.feedback_ids = [feedback.id for feedback in said]
    session.add(comparison)
    return said


def _said(about: Interaction, kind: FeedbackKind, answer: str, text: str, now: datetime) -> Feedback:
    """Make what was said of an answer, as private as the place where it was asked, though only its asker saw it."""
    return Feedback(
        id=new_id("fb"),
        workspace_id=about.workspace_id,
        interaction_id=about.id,
        person_id=about.asker_id,
        kind=kind,
        question=about.question,
        answer=answer,
        text=text,
        source=SOURCE,
        private=bool(about.source.get("in_private", about.private)),
        domain=str(about.source.get("domain", DEFAULT_DOMAIN)),
        state="received",
        created_at=now,
    )
