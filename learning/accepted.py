"""The accepted corrections in force, followed in the database: whoever accepts, declines or erases one, and wherever.

Curation's own rules say what is in force, so that what is shown to the model today is what it will be trained on. The
audit log says what changed: each change of a feedback's state has a record there, in the order of their commits.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlmodel import Session

from learning.curation import build_snapshot, normalise, question_key
from storage.audit import next_sequence, read_audit_records
from storage.database import Database
from storage.domains import DEFAULT_DOMAIN
from storage.feedback import Feedback, accepted_corrections, feedback_with_ids


class Scope(NamedTuple):
    """Who may see a correction: all of a workspace, or its author alone (`owner`) when it was said in private.

    `domain` is where it holds: what is right in one may be wrong in another.
    """

    workspace_id: str
    owner: str | None
    domain: str = DEFAULT_DOMAIN


class Place(NamedTuple):
    """One question (by `question_key`) in one scope: at most one answer is in force there."""

    scope: Scope
    key: str


@dataclass(frozen=True)
class Known:
    """A question with the answer that people said is right, and where both came from."""

    question: str
    answer: str
    feedback_ids: tuple[str, ...]
    person_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Correction:
    """What curation reads of a correction; much smaller than the stored row."""

    id: str
    person_id: str
    question: str
    answer: str
    text: str
    private: bool
    created_at: datetime
    review_reason: str | None
    reviewed_at: datetime | None
    kind: str = "correction"


Changes = dict[Place, Known | None]


class AcceptedCorrections:
    """Keeps up with one database. Not for several threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._domains: frozenset[str] = frozenset()
        self._next: int | None = None
        self._places: dict[str, Place] = {}
        self._corrections: defaultdict[Place, dict[str, _Correction]] = defaultdict(dict)

    def sync(self, domains: frozenset[str] = frozenset()) -> Changes:
        """Return what is in force at each place that changed since the last call (the first: at all); None: nothing.

        `domains` are those with adapters of their own; all other labels belong to the default one. Costs one look at
        the end of the audit log when nothing changed.
        """
        with self._database.read() as session:
            end = next_sequence(session)
            if domains != self._domains:
                self._domains, self._next = domains, None
            if self._next == end:
                return {}
            touched = self._load_all(session) if self._next is None else self._load_changed(session, self._next)
        self._next = end
        return dict(self._settle(touched))

    def _load_all(self, session: Session) -> set[Place]:
        before = set(self._corrections)
        self._places.clear()
        self._corrections.clear()
        return before | {self._take(feedback) for feedback in accepted_corrections(session)}

    def _load_changed(self, session: Session, start: int) -> set[Place]:
        bodies = (json.loads(record.body) for record in read_audit_records(session, start))
        ids = {body["object"] for body in bodies if body["action"].startswith("feedback.")}
        touched = {self._drop(feedback_id) for feedback_id in ids if feedback_id in self._places}
        for feedback in feedback_with_ids(session, sorted(ids)):
            if feedback.kind == "correction" and feedback.state == "accepted":
                touched.add(self._take(feedback))
        return touched

    def _take(self, feedback: Feedback) -> Place:
        owner = feedback.person_id if feedback.private else None
        domain = feedback.domain if feedback.domain in self._domains else DEFAULT_DOMAIN
        scope = Scope(feedback.workspace_id, owner, domain)
        place = Place(scope, question_key(feedback.question))
        self._places[feedback.id] = place
        self._corrections[place][feedback.id] = _Correction(
            feedback.id,
            feedback.person_id,
            normalise(feedback.question),
            feedback.answer,
            feedback.text,
            feedback.private,
            feedback.created_at,
            feedback.review_reason,
            feedback.reviewed_at,
        )
        return place

    def _drop(self, feedback_id: str) -> Place:
        place = self._places.pop(feedback_id)
        del self._corrections[place][feedback_id]
        return place

    def _settle(self, places: Iterable[Place]) -> Iterator[tuple[Place, Known | None]]:
        """Apply curation's rules to the corrections of these places, a scope at a time."""
        by_scope: defaultdict[Scope, list[Place]] = defaultdict(list)
        for place in places:
            by_scope[place.scope].append(place)
        for scope, members in by_scope.items():
            said = [correction for place in members for correction in self._corrections[place].values()]
            rows = {
                question_key(question): row
                for row in build_snapshot(said).rows
                for question in (row.question, *row.wordings)
            }
            for place in members:
                row = rows.get(place.key)
                known = Known(row.question, row.answer, row.feedback_ids, row.person_ids) if row else None
                yield Place(scope, place.key), known
