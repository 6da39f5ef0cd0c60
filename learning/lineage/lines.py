"""What is said of one thing, in a line: what it is, by whom and when, and whether it was erased."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from sqlmodel import Session

from learning.lineage.nodes import Kind, Node, more
from learning.lineage.rows import DataRow
from storage.adapters import Adapter
from storage.artifacts import REDACTED, ArtifactStore
from storage.audit import Entry, records_about
from storage.break_glass import BreakGlass
from storage.datasets import DatasetSnapshot
from storage.feedback import Feedback, feedback_with_ids
from storage.figures import count_answers
from storage.interactions import Interaction
from storage.people import Person
from storage.proposals import Decision, Proposal
from storage.runs import Run

Thing = TypeVar("Thing")

SHORT = 12
"""Characters of a data set's digest in the id of its rows."""
_BY_MODEL = ("model", "examples")
_ANSWERED = {
    "model": "answered by a model",
    "examples": "answered by a model that was shown corrections",
    "quoted": "quoted from a correction",
    "accepted": "given as corrected",
}
_GONE = "is not there any more"


class Lines:
    """Says what is so in one database and artifact store; of what is many, `limit` are shown (None: all)."""

    def __init__(self, session: Session, store: ArtifactStore, limit: int | None) -> None:
        self.session = session
        self.limit = limit
        self._store = store
        self._people: dict[str, Person | None] = {}

    def folder(self, digest: str) -> Path:
        """Return where the files of a data set are, or would be."""
        return self._store.root / digest

    def answer(self, row: Interaction) -> Node:
        """Say to whom an answer was given, and by what."""
        how = str(row.source.get("how", "model"))
        by = ", which was the base model" if how in _BY_MODEL and not row.adapter_digest else ""
        erased = "" if row.answer else ", its words were erased"
        said = f"to {self.name(row.asker_id)}, {_when(row)}, {_ANSWERED[how]}{by}{erased}"
        return Node("answer", row.id, said, erased=not row.answer)

    def adapter(self, row: Adapter, note: str = "") -> Node:
        """Say where an adapter stands, and how many answers it gave."""
        answers = count_answers(self.session, row.digest)
        erased = f", its files were erased {row.erased_at:%Y-%m-%d}" if row.erased_at else ""
        said = f"{note and f'{note}; '}{row.state}, of domain {row.domain}, gave {answers:,} answers{erased}"
        return Node("adapter", row.digest, said, erased=row.erased_at is not None)

    def run(self, row: Run) -> Node:
        """Say what a run was, and who started it."""
        said = f"{row.state}, recipe {row.recipe}, started by {self.name(row.started_by)}, {_when(row)}"
        return Node("run", row.id, said)

    def data_set(self, row: DatasetSnapshot, note: str = "") -> Node:
        """Say how large a data set is, and whether it is still whole."""
        folder = self.folder(row.digest)
        state = "" if folder.is_dir() else "; its files are not there any more"
        redacted = (folder / REDACTED).exists()
        said = f"{row.row_count:,} rows, {_when(row)}{note}{'; texts in it were erased' if redacted else state}"
        return Node("data set", row.digest, said, erased=redacted or bool(state))

    def row(self, digest: str, row: DataRow) -> Node:
        """Say what a row of a data set is."""
        return Node("row", f"{digest[:SHORT]}/{row.place}", row.said, erased=row.is_erased)

    def feedback(self, row: Feedback) -> Node:
        """Say what kind of feedback it is, whose, and what became of it."""
        reviewed = f", reviewed by {self.name(row.reviewed_by)}" if row.reviewed_by else ""
        said = f"{row.kind} by {self.name(row.person_id)}, {row.state}, {_when(row)}{reviewed}"
        return Node("feedback", row.id, said, erased=row.state == "erased")

    def feedback_with(self, ids: Sequence[str]) -> list[Node]:
        """Say that of each piece of feedback with one of these ids, also of what is not there any more."""
        shown = ids if self.limit is None else ids[: self.limit]
        known = {row.id: row for row in feedback_with_ids(self.session, shown)}
        gone = [Node("feedback", each, _GONE, erased=True) for each in shown if each not in known]
        return [*(self.feedback(known[each]) for each in shown if each in known), *gone,
                *more("feedback", len(ids) - len(shown))]  # fmt: skip

    def person(self, row: Person) -> Node:
        """Name a person."""
        erased = f", what they said was erased {row.erased_at:%Y-%m-%d}" if row.erased_at else ""
        return Node("person", row.id, f"{row.name}{erased}", erased=row.erased_at is not None)

    def somebody(self, person_id: str | None, did: str) -> list[Node]:
        """Say that a person did something; nothing of whatever else did, such as the schedule."""
        found = self._person(person_id)
        return [Node("person", found.id, f"{found.name}, {did}", erased=found.erased_at is not None)] if found else []

    def proposal(self, row: Proposal) -> Node:
        """Say how a proposal ended, and what it was bound to."""
        bound = f"report {row.report_digest[:SHORT]} and policy {row.policy_digest[:SHORT]}"
        return Node("proposal", row.id, f"{row.state}, bound to {bound}")

    def decision(self, row: Decision) -> Node:
        """Say who decided what, and in whose name."""
        by = " on behalf of ".join(map(self.name, row.people))
        return Node("decision", row.id, f"{row.verdict} by {by}, {_when(row)}")

    def break_glass(self, row: BreakGlass) -> Node:
        """Say who took an adapter live without its quorum, and why."""
        said = f"taken live without its quorum by {self.name(row.person_id)}, {_when(row)}, {row.state}: {row.reason}"
        return Node("break-glass", row.id, said)

    def audit(self, object_id: str) -> list[Node]:
        """Say what the audit log has about something."""
        records = records_about(self.session, object_id)
        return self.some("audit record", records, len(records), _record)

    def some(
        self, kind: Kind, things: Sequence[Thing], total: int, node: Callable[[Thing], Node], limit: int | None = None
    ) -> list[Node]:
        """Give a node of each, at most as many as are shown, and say how many more of `total` there are."""
        most = self.limit if limit is None else limit
        shown = things if most is None else things[:most]
        return [*map(node, shown), *more(kind, total - len(shown))]

    def name(self, person_id: str | None) -> str:
        """Name a person, with the id, or whoever else did something, such as the schedule."""
        found = self._person(person_id)
        return f"{found.name} ({found.id})" if found else str(person_id)

    def _person(self, person_id: str | None) -> Person | None:
        if not person_id:
            return None
        if person_id not in self._people:
            self._people[person_id] = self.session.get(Person, person_id)
        return self._people[person_id]


def _record(entry: Entry) -> Node:
    return Node("audit record", str(entry.place), f"{entry.action} by {entry.actor}")


def unknown(kind: Kind, key: str) -> Node:
    """Say that something is named and not there any more."""
    return Node(kind, key, _GONE, erased=True)


def with_children(node: Node, *children: Iterable[Node]) -> Node:
    """Return the node with these children, one group after the other."""
    return replace(node, children=tuple(each for group in children for each in group))


def _when(row: Any) -> str:
    return f"{row.created_at:%Y-%m-%d %H:%M} UTC"
