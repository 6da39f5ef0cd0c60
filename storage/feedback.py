"""What people said of answers: votes, corrections and preferences, each a row for good.

What was said is never edited; a person's later row supersedes, and whoever said it can take it back.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, get_args

import sqlalchemy
from sqlalchemy import ColumnElement
from sqlmodel import Field, Session, SQLModel, case, col, func, or_, select

from storage.domains import DEFAULT_DOMAIN, Labels
from storage.errors import InvalidFeedbackError, NotFoundError
from storage.interactions import Interaction
from storage.records import JSON_TYPE, time_field

FeedbackKind = Literal["up", "down", "correction", "preference"]
FeedbackState = Literal["received", "quarantined", "pending_review", "accepted", "declined", "withdrawn", "erased"]
VoteReason = Literal["wrong", "outdated", "incomplete", "unsafe", "style"]
"""What is wrong with an answer that somebody voted against."""
WAITING: tuple[FeedbackState, ...] = ("pending_review", "quarantined")
"""The states of what a reviewer has to decide on."""
ReviewReason = Literal[
    "every_correction", "not_trusted", "new_person", "private", "contradiction", "personal_data", "suspicious"
]
IMPORTED = "import"
"""The source of feedback that came from a file, all of it in one moment."""
MAX_CORRECTION_LENGTH = 4_000
"""Characters; Slack's own multi-line input takes no more than 3,000, imports may be a little longer."""
CURATED = (
    "id", "person_id", "kind", "question", "answer", "text", "private", "created_at", "review_reason", "reviewed_at",
)  # fmt: skip
"""The columns that curation reads."""


class Feedback(SQLModel, table=True):
    """One vote or correction of one person on one answer. `text` is the corrected answer; empty for votes.

    A `preference` is for one of two answers that the person was shown: `text` is the preferred one, which
    `interaction_id` is about, and `answer` the other.

    `reason` (a `VoteReason`) says what is wrong with an answer that was voted down, where the person said so.
    `domain` is the label of the channel in which it was said, which the policy's domains read (`storage.domains`).
    `question` and `answer` are what the person saw, kept here so that imported feedback needs no interaction.
    `review_reason` says why it was sent to review (None: it never was), `contradicts` are the ids of feedback that says
    otherwise, `reviewed_by`, `reviewed_at` and `reviewer_reason` tell of the decision (None: none yet).
    `masked` are the kinds of personal data that were taken out of its texts, `set_aside` those for which it waits for a
    reviewer, `checked_by` the rules that looked for them last (None: none did).
    `suspected` says why it looks like an attempt to steer the assistant (`governance.poisoning`), `found_with` are the
    ids of what that was seen in, besides itself (None: nothing was found).
    """

    id: str = Field(primary_key=True)
    workspace_id: str = Field(foreign_key="workspace.id", index=True)
    interaction_id: str | None = Field(default=None, foreign_key="interaction.id", index=True)
    person_id: str = Field(foreign_key="person.id", index=True)
    kind: str
    question: str
    answer: str
    text: str = ""
    reason: str | None = None
    source: str
    private: bool = False
    domain: str = Field(default=DEFAULT_DOMAIN, sa_column_kwargs={"server_default": DEFAULT_DOMAIN})
    state: str = Field(index=True)
    created_at: datetime = time_field(index=True)
    review_reason: str | None = None
    contradicts: list[str] | None = Field(default=None, sa_type=JSON_TYPE)
    reviewed_by: str | None = Field(default=None, index=True)
    reviewed_at: datetime | None = time_field(index=True, optional=True)
    reviewer_reason: str | None = None
    masked: list[str] | None = Field(default=None, sa_type=JSON_TYPE)
    set_aside: list[str] | None = Field(default=None, sa_type=JSON_TYPE)
    checked_by: str | None = Field(default=None, index=True)
    suspected: list[str] | None = Field(default=None, sa_type=JSON_TYPE)
    found_with: list[str] | None = Field(default=None, sa_type=JSON_TYPE)


class Votes(NamedTuple):
    """How many votes say that an answer is good, and how many that it is bad."""

    up: int
    down: int


class Said(NamedTuple):
    """How much feedback of one kind and state a person gave, and when first and last."""

    kind: str
    state: str
    number: int
    first: datetime
    last: datetime


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


def check_vote_reason(kind: str, reason: str | None) -> str | None:
    """Return the reason of a vote as it is.

    Raises:
        InvalidFeedbackError: it is not one of `VoteReason`, or no vote against an answer has it.

    """
    if reason is None:
        return None
    if reason not in (known := get_args(VoteReason)):
        raise InvalidFeedbackError(f"{reason!r} is no reason of a vote. Give one of {', '.join(known)}.")
    if kind != "down":
        raise InvalidFeedbackError("Only a vote against an answer has a reason. Leave the reason out.")
    return reason


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


def reviewed_by(session: Session, person_id: str) -> list[Feedback]:
    """Return the feedback that a person decided on in review, in that order."""
    query = select(Feedback).where(Feedback.reviewed_by == person_id)
    return list(session.exec(query.order_by(col(Feedback.reviewed_at), col(Feedback.id))))


def standing_votes(session: Session, interaction_id: str, person_id: str) -> list[Feedback]:
    """Return a person's votes on an answer that were not taken back, oldest first; the last one counts."""
    query = select(Feedback).where(
        Feedback.interaction_id == interaction_id,
        Feedback.person_id == person_id,
        col(Feedback.kind).in_(("up", "down")),
        col(Feedback.state).not_in(("withdrawn", "erased")),
    )
    return list(session.exec(query.order_by(col(Feedback.created_at), col(Feedback.id))))


def insert_accepted(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows at once as accepted, each with all that has no default; the audit log does not hear of them."""
    given = [
        {"text": "", "reason": None, "private": False, "interaction_id": None, "review_reason": None,
         "contradicts": None, "reviewed_by": None, "reviewed_at": None, "reviewer_reason": None,
         "masked": None, "set_aside": None, "checked_by": None, "suspected": None, "found_with": None,
         "domain": DEFAULT_DOMAIN, **row,
         "state": "accepted"}
        for row in rows
    ]  # fmt: skip
    session.execute(sqlalchemy.insert(Feedback), given)


def accepted_corrections(session: Session, batch: int = 1_000) -> Iterator[Feedback]:
    """Give all accepted corrections, holding `batch` of them in memory at a time; in no order."""
    query = select(Feedback).where(Feedback.kind == "correction", Feedback.state == "accepted")
    yield from session.exec(query.execution_options(yield_per=batch))


def lately_corrected(session: Session, workspace_id: str, after: datetime, limit: int) -> list[str]:
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


def lately_corrected_by_all(session: Session, since: datetime, limit: int) -> list[Feedback]:
    """Return the newest corrections since a moment that count, or wait for a reviewer; at most `limit`."""
    query = select(Feedback).where(
        Feedback.kind == "correction",
        col(Feedback.state).in_(("accepted", *WAITING)),
        col(Feedback.created_at) > since,
    )
    return list(session.exec(query.order_by(col(Feedback.created_at).desc(), col(Feedback.id)).limit(limit)))


def accepted_by_others(session: Session, people: Collection[str]) -> dict[str, int]:
    """Count for each of these people the corrections that reviewers accepted, less those that they declined."""
    worth = case((col(Feedback.state) == "accepted", 1), else_=-1)
    query = select(Feedback.person_id, func.sum(worth)).where(
        Feedback.kind == "correction",
        col(Feedback.person_id).in_(sorted(people)),
        col(Feedback.reviewed_by).is_not(None),
        col(Feedback.state).in_(("accepted", "declined")),
    )
    return {person: max(0, count) for person, count in session.exec(query.group_by(Feedback.person_id))}


def unchecked(session: Session, stamp: str, limit: int) -> list[Feedback]:
    """Return accepted feedback that other rules than these looked at last for personal data, or none did."""
    query = select(Feedback).where(Feedback.state == "accepted", col(Feedback.checked_by).is_distinct_from(stamp))
    return list(session.exec(query.order_by(col(Feedback.id)).limit(limit)))


def stream_accepted(session: Session, labels: Labels, batch: int = 2_000) -> Iterator[Any]:
    """Give what curation reads of a domain's accepted feedback, holding `batch` of them in memory; in no order."""
    query = sqlalchemy.select(*(getattr(Feedback, name) for name in CURATED))
    query = query.where(col(Feedback.state) == "accepted", labels.holds(col(Feedback.domain)))
    yield from session.execute(query.execution_options(yield_per=batch))


def count_feedback(session: Session, state: FeedbackState, labels: Labels | None = None) -> int:
    """Count the feedback in a state, of one domain or of all."""
    query = select(func.count()).select_from(Feedback).where(Feedback.state == state)
    return session.exec(query.where(labels.holds(col(Feedback.domain))) if labels else query).one()


def count_corrections(session: Session, labels: Labels | None = None, *, after: datetime | None = None) -> int:
    """Count accepted corrections, of one domain or of all; with `after` those that came, or were accepted, later."""
    query = (
        select(func.count()).select_from(Feedback).where(Feedback.kind == "correction", Feedback.state == "accepted")
    )
    if labels is not None:
        query = query.where(labels.holds(col(Feedback.domain)))
    if after is not None:
        query = query.where(or_(col(Feedback.created_at) > after, col(Feedback.reviewed_at) > after))
    return session.exec(query).one()


def count_votes(session: Session, workspace_id: str, since: datetime, adapter_digest: str | None = None) -> Votes:
    """Count the newest vote of each person on each answer that came later than `since`.

    `adapter_digest` counts those on the answers of one adapter only.
    """
    newest_first = (col(Feedback.created_at).desc(), col(Feedback.id).desc())
    place = func.row_number().over(
        partition_by=(col(Feedback.person_id), col(Feedback.interaction_id)), order_by=newest_first
    )
    votes = (
        select(Feedback.kind, Feedback.interaction_id, place.label("place"))
        .where(
            col(Feedback.kind).in_(("up", "down")),
            Feedback.state == "accepted",
            Feedback.workspace_id == workspace_id,
            col(Feedback.interaction_id).is_not(None),
            col(Feedback.created_at) > since,
        )
        .subquery()
    )
    query = select(votes.c.kind, func.count()).where(votes.c.place == 1).group_by(votes.c.kind)
    if adapter_digest is not None:
        query = query.join(Interaction, col(Interaction.id) == votes.c.interaction_id)
        query = query.where(Interaction.adapter_digest == adapter_digest)
    counts = dict(session.exec(query).all())
    return Votes(counts.get("up", 0), counts.get("down", 0))


def count_said(session: Session, person_id: str) -> list[Said]:
    """Count what a person said, by kind and state; what was erased is not counted."""
    first, last = func.min(Feedback.created_at), func.max(Feedback.created_at)
    query = sqlalchemy.select(col(Feedback.kind), col(Feedback.state), func.count(), first, last)
    query = query.where(col(Feedback.person_id) == person_id, col(Feedback.state) != "erased")
    return [Said(*row) for row in session.execute(query.group_by(col(Feedback.kind), col(Feedback.state)))]


def latest_said(session: Session, person_id: str, limit: int) -> list[Feedback]:
    """Return the newest feedback of a person, newest first; what was erased is left out."""
    query = select(Feedback).where(Feedback.person_id == person_id, Feedback.state != "erased")
    return list(session.exec(query.order_by(col(Feedback.created_at).desc(), col(Feedback.id)).limit(limit)))


def corrections_of(session: Session, person_id: str) -> set[str]:
    """Return the ids of a person's accepted corrections."""
    query = select(Feedback.id).where(
        Feedback.person_id == person_id, Feedback.kind == "correction", Feedback.state == "accepted"
    )
    return set(session.exec(query))


def corrected_questions(
    session: Session, ids: Sequence[str], workspace_id: str, reader_id: str, batch: int = 500
) -> list[str]:
    """Return the questions of these corrections that somebody of a workspace may read, newest first, each once.

    What was said in private only its author may read.
    """
    found: list[tuple[str, datetime]] = []
    for start in range(0, len(ids), batch):
        query = select(Feedback.question, Feedback.created_at).where(
            col(Feedback.id).in_(ids[start : start + batch]),
            Feedback.kind == "correction",
            Feedback.state == "accepted",
            Feedback.workspace_id == workspace_id,
            or_(col(Feedback.private).is_(False), Feedback.person_id == reader_id),
        )
        found += session.exec(query)
    newest_first = sorted(found, key=lambda each: each[1], reverse=True)
    return list(dict.fromkeys(question for question, _ in newest_first))


def waiting_corrections(session: Session, workspace_id: str, reviewer_id: str, limit: int) -> list[Feedback]:
    """Return corrections of others in a workspace that wait for review, oldest first."""
    query = select(Feedback).where(
        col(Feedback.state).in_(WAITING), Feedback.workspace_id == workspace_id, Feedback.person_id != reviewer_id
    )
    return list(session.exec(query.order_by(col(Feedback.created_at), col(Feedback.id)).limit(limit)))


def newest_feedback_of(session: Session, person_id: str, limit: int | None) -> tuple[list[Feedback], int]:
    """Return what a person said, newest first, `limit` of it (None: all), and how much there is."""
    return _newest(session, col(Feedback.person_id) == person_id, limit)


def newest_reviewed_by(session: Session, person_id: str, limit: int | None) -> tuple[list[Feedback], int]:
    """Return what a person decided on in review, newest first, `limit` of it (None: all), and how much there is."""
    return _newest(session, col(Feedback.reviewed_by) == person_id, limit)


def _newest(session: Session, which: ColumnElement[bool], limit: int | None) -> tuple[list[Feedback], int]:
    newest = select(Feedback).where(which).order_by(col(Feedback.created_at).desc(), col(Feedback.id))
    total = session.exec(select(func.count()).select_from(Feedback).where(which)).one()
    return list(session.exec(newest.limit(limit))), total


def times_said(session: Session, person_id: str) -> dict[str, datetime]:
    """Return the ids of everything that a person said, each with when."""
    return dict(session.exec(select(Feedback.id, Feedback.created_at).where(Feedback.person_id == person_id)).all())


def feedback_on(session: Session, interaction_id: str) -> list[Feedback]:
    """Return everything that was said of an answer, in the order in which it came."""
    query = select(Feedback).where(Feedback.interaction_id == interaction_id)
    return list(session.exec(query.order_by(col(Feedback.created_at), col(Feedback.id))))
