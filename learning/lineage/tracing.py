"""Where an answer comes from, and what a person's word has led to: a tree through adapters, runs, data and people.

From an answer, an adapter, a run or a data set it goes down to the feedback that was learned from, and to who gave,
reviewed and approved it; from feedback or a person it goes up to the adapters that learned from it and the answers that
they gave. Each node says what is so, also that something was erased, withdrawn or is not there any more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlmodel import Session

from learning.taught import trained_on
from storage.adapters import Adapter, adapters_of_snapshots, list_adapters
from storage.artifacts import ArtifactStore
from storage.audit import records_about
from storage.break_glass import BreakGlass, break_glass_of
from storage.datasets import DatasetSnapshot, list_snapshots
from storage.errors import ApprenticeError, NotFoundError
from storage.feedback import Feedback, feedback_of, feedback_on, feedback_with_ids
from storage.figures import count_answers
from storage.interactions import Interaction
from storage.people import Person, names_of
from storage.proposals import Decision, decisions_by, decisions_on, proposal_for
from storage.runs import Run, runs_started_by

Kind = Literal[
    "answer", "adapter", "run", "data set", "feedback", "person", "proposal", "decision", "break-glass", "audit record"
]  # fmt: skip
MORE = "and {count:,} more"


@dataclass(frozen=True)
class Node:
    """One thing in the tree: what it is, its id, a line about it, and what it rests on or led to."""

    kind: Kind
    id: str
    said: str
    children: tuple["Node", ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give the tree as JSON has it."""
        return {
            "kind": self.kind,
            "id": self.id,
            "said": self.said,
            "children": [child.as_dict() for child in self.children],
        }


class Lineage:
    """Traces through one database and artifact store; of what is many, `limit` are shown, and how many more."""

    def __init__(self, session: Session, store: ArtifactStore, limit: int = 20) -> None:
        self._session = session
        self._store = store
        self._limit = limit
        self._learned: dict[str, frozenset[str] | None] = {}

    def trace(self, reference: str) -> Node:
        """Return the tree of whatever has this id; digests may be cut short to six characters.

        Raises:
            NotFoundError: nothing has it, or several digests begin so.

        """
        session = self._session
        looks: Sequence[tuple[Any, Callable[[Any], Node]]] = (
            (session.get(Interaction, reference), self.answer),
            (session.get(Feedback, reference), self._feedback_up),
            (session.get(Run, reference), self.run),
            (session.get(Person, reference), self.person),
        )
        for found, trace in looks:
            if found is not None:
                return trace(found)
        matches: list[Node] = []
        if len(reference) >= MIN_DIGEST:
            matches += [self.adapter(each) for each in list_adapters(session) if each.digest.startswith(reference)]
            matches += [self.data_set(each) for each in list_snapshots(session) if each.digest.startswith(reference)]
        if len(matches) != 1:
            what = f"{len(matches)} digests begin with" if matches else "nothing is called"
            raise NotFoundError(
                f"{what} {reference}. Give the id of an answer, adapter, run, data set, feedback or person."
            )
        return matches[0]

    def answer(self, row: Interaction) -> Node:
        """Trace an answer to its adapter, or to the corrections that it is, and to what was said of it."""
        used = list(row.source.get("feedback", []))
        how = str(row.source.get("how", "model"))
        origin = [self.adapter(adapter)] if (adapter := self._adapter(row.adapter_digest)) else []
        said = feedback_on(self._session, row.id)
        by = ", which was the base model" if how in _BY_MODEL and not origin else ""
        about = f"to {self._name(row.asker_id)}, {_when(row)}, {_ANSWERED[how]}{by}"
        return Node("answer", row.id, about, (*origin, *self._feedback(used), *self._some(said, self._feedback_node)))

    def adapter(self, row: Adapter) -> Node:
        """Trace an adapter to its run, its data and who approved it; say how many answers it gave."""
        answers = count_answers(self._session, row.digest)
        run = self._session.get(Run, row.run_id) if row.run_id else None
        snapshot = self._session.get(DatasetSnapshot, row.snapshot_digest) if row.snapshot_digest else None
        started = [self.run(run)] if run else []
        data = [self.data_set(snapshot)] if snapshot else []
        said = f"{row.state}, of domain {row.domain}, gave {answers:,} answers"
        return Node("adapter", row.digest, said, (*started, *data, *self._proposal(row), *self._audit(row.digest)))

    def run(self, row: Run) -> Node:
        """Say what a run was, and who started it."""
        return Node(
            "run", row.id, f"{row.state}, recipe {row.recipe}, started by {self._name(row.started_by)}, {_when(row)}"
        )

    def data_set(self, row: DatasetSnapshot) -> Node:
        """Trace a data set to the feedback in it."""
        ids = self._ids_in(row.digest)
        said = f"{row.row_count:,} rows, {_when(row)}"
        if ids is None:
            return Node("data set", row.digest, f"{said}; its files are not there any more")
        return Node("data set", row.digest, said, tuple(self._feedback(sorted(ids))))

    def person(self, row: Person) -> Node:
        """Trace a person to what they said, decided and started."""
        said = feedback_of(self._session, row.id)
        decided = decisions_by(self._session, row.id)
        started = runs_started_by(self._session, row.id)
        return Node(
            "person",
            row.id,
            row.name,
            (
                *self._some(said, self._feedback_up),
                *self._some(decided, self._decision_of),
                *self._some(started, self.run),
            ),
        )

    def _decision_of(self, row: Decision) -> Node:
        by = f" by {self._names(row.people)}" if row.on_behalf_of else ""
        return Node("decision", row.id, f"{row.verdict}{by}, {_when(row)}, on {row.proposal_id}")

    def _feedback_up(self, row: Feedback) -> Node:
        """Trace feedback to the adapters that learned from it."""
        digests = [each.digest for each in list_snapshots(self._session) if row.id in (self._ids_in(each.digest) or ())]
        adapters = adapters_of_snapshots(self._session, digests)
        about = self._session.get(Interaction, row.interaction_id) if row.interaction_id else None
        node = self._feedback_node(row)
        led_to = self._some(adapters, self._adapter_line)
        on = [Node("answer", about.id, f"what it was said of, {_when(about)}")] if about else []
        return Node(node.kind, node.id, node.said, (*on, *led_to, *self._audit(row.id)))

    def _adapter_line(self, row: Adapter) -> Node:
        answers = count_answers(self._session, row.digest)
        return Node("adapter", row.digest, f"learned from it; {row.state}, gave {answers:,} answers")

    def _feedback(self, ids: Sequence[str]) -> Iterable[Node]:
        known = {row.id: row for row in feedback_with_ids(self._session, ids)}
        return self._some(ids, lambda each: self._feedback_node(known[each]) if each in known else _gone(each))

    def _feedback_node(self, row: Feedback) -> Node:
        reviewed = f", reviewed by {self._name(row.reviewed_by)}" if row.reviewed_by else ""
        return Node(
            "feedback", row.id, f"{row.kind} by {self._name(row.person_id)}, {row.state}, {_when(row)}{reviewed}"
        )

    def _proposal(self, adapter: Adapter) -> Iterable[Node]:
        proposal = proposal_for(self._session, adapter.digest)
        if proposal is None:
            return
        decided = [
            Node("decision", each.id, f"{each.verdict} by {self._names(each.people)}, {_when(each)}")
            for each in decisions_on(self._session, proposal.id)
        ]
        glass = break_glass_of(self._session, adapter.digest)
        broken = [self._break_glass(glass)] if glass else []
        said = (
            f"{proposal.state}, bound to report {proposal.report_digest[:12]} and policy {proposal.policy_digest[:12]}"
        )
        yield Node("proposal", proposal.id, said, (*broken, *decided, *self._audit(proposal.id)))

    def _break_glass(self, row: BreakGlass) -> Node:
        said = f"taken live without its quorum by {self._name(row.person_id)}, {_when(row)}, {row.state}: {row.reason}"
        return Node("break-glass", row.id, said, tuple(self._audit(row.id)))

    def _audit(self, object_id: str) -> Iterable[Node]:
        records = records_about(self._session, object_id)
        return self._some(records, lambda each: Node("audit record", str(each.place), f"{each.action} by {each.actor}"))

    def _some(self, rows: Sequence[Any], node: Callable[[Any], Node]) -> Iterable[Node]:
        shown = [node(row) for row in rows[: self._limit]]
        if len(rows) > self._limit and shown:
            shown.append(Node(shown[0].kind, "", MORE.format(count=len(rows) - self._limit)))
        return shown

    def _ids_in(self, digest: str) -> frozenset[str] | None:
        """Return the feedback that a training on a data set learns from; None where its files cannot be read."""
        if digest not in self._learned:
            try:
                self._learned[digest] = frozenset(trained_on(self._store.path(digest)))
            except (ApprenticeError, OSError, ValueError, TypeError):
                self._learned[digest] = None
        return self._learned[digest]

    def _adapter(self, digest: str | None) -> Adapter | None:
        return self._session.get(Adapter, digest) if digest else None

    def _names(self, people: Sequence[str]) -> str:
        """Name who decided, and in whose name."""
        return " on behalf of ".join(map(self._name, people))

    def _name(self, person_id: str | None) -> str:
        """Name a person, with the id, or whoever else did something, such as the schedule."""
        known = names_of(self._session, [person_id or ""]).get(person_id or "")
        return f"{known} ({person_id})" if known else str(person_id)


MIN_DIGEST = 6
_BY_MODEL = ("model", "examples")
_ANSWERED = {
    "model": "answered by a model",
    "examples": "answered by a model that was shown corrections",
    "quoted": "quoted from a correction",
    "accepted": "given as corrected",
}


def _gone(feedback_id: str) -> Node:
    return Node("feedback", feedback_id, "is not there any more")


def _when(row: Any) -> str:
    return f"{row.created_at:%Y-%m-%d %H:%M} UTC"
