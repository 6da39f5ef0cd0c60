"""How people judge the answers of each adapter."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, case
from sqlmodel import Session, and_, col, func, or_, select

from storage.feedback import Feedback
from storage.interactions import Interaction
from storage.shadows import count_failures

STANDING_CORRECTIONS = ("accepted", "pending_review", "quarantined")
NO_MODEL = ("accepted", "quoted")
"""How an answer came about that is an accepted correction itself, and no model's."""
APART = ("pinned", "compared")
"""Sides of answers that nobody got by chance, so that they are no evidence for or against an adapter."""


class Judged(NamedTuple):
    """Answers that somebody judged; `bad` of them somebody voted down or corrected, and `people` did so in all.

    Of a person's votes on an answer the last one counts, and a correction counts as a vote against it. That it is the
    answers which somebody judged, and not all, makes old and new answers comparable: votes come late, or never.
    """

    answers: int
    bad: int
    people: int


class Worked(NamedTuple):
    """How an adapter worked: so many questions `answered`, and so many more `failed`.

    Of `timed` of these answers it is known how long they took, as nobody stopped them; `slow` ones took too long.
    """

    answered: int
    timed: int
    slow: int
    failed: int


def judged_answers(
    session: Session,
    adapter_digest: str | None,
    after: datetime,
    before: datetime | None = None,
    label: str | None = None,
) -> Judged:
    """Count the judged answers that an adapter (None: the base model) gave in this time.

    `label` counts those in channels with that one only.

    Accepted corrections that were given as the answer are no model's answers, so they are left out, and so is what was
    given to whoever is pinned, or beside another answer.
    """
    said = (
        select(Feedback.interaction_id, Feedback.person_id, Feedback.kind)
        .join(Interaction, col(Interaction.id) == Feedback.interaction_id)
        .where(
            _given_by(adapter_digest),
            _by_chance(),
            col(Interaction.created_at) > after,
            or_(
                and_(col(Feedback.kind).in_(("up", "down")), col(Feedback.state) == "accepted"),
                and_(col(Feedback.kind) == "correction", col(Feedback.state).in_(STANDING_CORRECTIONS)),
            ),
        )
    )
    if label is not None:
        said = said.where(col(Interaction.source)["domain"].as_string() == label)
    if before is not None:
        said = said.where(col(Interaction.created_at) <= before)
    return _count(session.exec(said.order_by(col(Feedback.created_at), col(Feedback.id))))


def count_answers(session: Session, adapter_digest: str | None) -> int:
    """Count all answers that an adapter (None: the base model) gave."""
    return session.exec(select(func.count()).select_from(Interaction).where(_given_by(adapter_digest))).one()


def worked(
    session: Session,
    adapter_digest: str | None,
    slow_seconds: float,
    after: datetime,
    before: datetime | None = None,
    label: str | None = None,
) -> Worked:
    """Count how an adapter (None: the base model) worked in this time; an answer that took longer than that is slow."""
    seconds = col(Interaction.usage)["seconds"].as_float()
    slow = func.sum(case((seconds > slow_seconds, 1), else_=0))
    query = select(func.count(), func.count(seconds), slow).where(_by_chance(), _given_by(adapter_digest))
    query = query.where(col(Interaction.created_at) > after)
    if label is not None:
        query = query.where(col(Interaction.source)["domain"].as_string() == label)
    if before is not None:
        query = query.where(col(Interaction.created_at) <= before)
    answered, timed, too_slow = session.exec(query).one()
    return Worked(answered, timed, too_slow or 0, count_failures(session, adapter_digest, after, before, label))


def _by_chance() -> ColumnElement[bool]:
    return func.coalesce(col(Interaction.source)["side"].as_string(), "serving").not_in(APART)


def _given_by(adapter_digest: str | None) -> ColumnElement[bool]:
    if adapter_digest is not None:  # a correction that is given as it is has no adapter
        return col(Interaction.adapter_digest) == adapter_digest
    how = func.coalesce(col(Interaction.source)["how"].as_string(), "model")
    return and_(col(Interaction.adapter_digest).is_(None), how.not_in(NO_MODEL))


def _count(said: Iterable[tuple[str | None, str, str]]) -> Judged:
    verdicts: dict[str | None, dict[str, bool]] = defaultdict(dict)
    corrected: set[tuple[str | None, str]] = set()
    for answer, person, kind in said:
        if kind == "correction":
            corrected.add((answer, person))
        verdicts[answer][person] = kind == "down" or (answer, person) in corrected
    against = [{person for person, bad in each.items() if bad} for each in verdicts.values()]
    return Judged(len(verdicts), sum(map(bool, against)), len(set().union(*against)))
