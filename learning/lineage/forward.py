"""Forward: from a person to what they said, the rows, runs and adapters that learned from it, and their answers."""

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime

from learning.lineage.lines import Lines, with_children
from learning.lineage.nodes import Node
from learning.lineage.rows import DataRow, rows_with
from storage.adapters import Adapter, adapters_of_run, adapters_of_snapshots, trained_beside
from storage.break_glass import break_glass_by
from storage.datasets import DatasetSnapshot, list_snapshots
from storage.feedback import Feedback, feedback_on, newest_feedback_of, newest_reviewed_by, times_said
from storage.interactions import Interaction, answers_by, answers_from, answers_to
from storage.people import Person
from storage.proposals import Decision, Proposal, decisions_by
from storage.runs import Run, runs_on, runs_started_by

ON_THE_WAY = 3
"""Answers that are shown of an adapter that is not what was asked about."""
BESIDE = "was trained while it served"
LOST = "and {count:,} whose files are not there any more, so nobody can say what was in them"


class Forward:
    """Says what things led to. What was shown with all that it led to is only named when it comes again."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._session = lines.session
        self._shown: set[tuple[str, str]] = set()

    def answer(self, row: Interaction) -> list[Node]:
        """Give what was said of it, and what learned from that."""
        said = feedback_on(self._session, row.id)
        return [*self._lines.some("feedback", said, len(said), self._lines.feedback),
                *self._learned({each.id: each.created_at for each in said})]  # fmt: skip

    def adapter(self, row: Adapter, limit: int | None = None) -> list[Node]:
        """Give its newest answers, and the adapters that were trained while it served."""
        most = self._lines.limit if limit is None else limit
        answers, total = answers_by(self._session, row.digest, most)
        later = trained_beside(self._session, row.digest)
        beside = self._lines.some("adapter", later, len(later), lambda each: self._lines.adapter(each, BESIDE))
        return [*self._lines.some("answer", answers, total, self._lines.answer, most), *beside]

    def run(self, row: Run) -> list[Node]:
        """Give the adapter that it made."""
        return [self._adapter(each) for each in adapters_of_run(self._session, row.id)]

    def data_set(self, row: DatasetSnapshot) -> list[Node]:
        """Give the runs on it, with their adapters."""
        runs = runs_on(self._session, row.digest)
        known = {run.id for run in runs}
        others = [each for each in adapters_of_snapshots(self._session, [row.digest]) if each.run_id not in known]
        return [*self._lines.some("run", runs, len(runs), self._run), *map(self._adapter, others)]

    def data_row(self, snapshot: DatasetSnapshot, row: DataRow) -> list[Node]:
        """Give the data set that it is in, with the runs on that, unless no training learns from the row."""
        node = self._lines.data_set(snapshot)
        return [self._once(node, lambda: self.data_set(snapshot)) if row.is_trained_on else node]

    def feedback(self, row: Feedback) -> list[Node]:
        """Give the answers that rest on it, and what learned from it."""
        answers, total = answers_from(self._session, row.id, self._lines.limit)
        given = self._lines.some("answer", answers, total, self._lines.answer)
        return [*given, *self._learned({row.id: row.created_at})]

    def person(self, row: Person) -> list[Node]:
        """Give what somebody said, what learned from that, what they started, decided and reviewed, and asked."""
        lines, session, most = self._lines, self._session, self._lines.limit
        said, reviewed = newest_feedback_of(session, row.id, most), newest_reviewed_by(session, row.id, most)
        asked = answers_to(session, row.id, most)
        started, decided = runs_started_by(session, row.id), decisions_by(session, row.id)
        glasses = break_glass_by(session, row.id)
        return [
            *lines.some("feedback", *said, lines.feedback),
            *self._learned(times_said(session, row.id)),
            *lines.some("run", started, len(started), self._run),
            *lines.some("decision", decided, len(decided), self._decision),
            *lines.some("break-glass", glasses, len(glasses), lines.break_glass),
            *lines.some("feedback", *reviewed, lines.feedback),
            *lines.some("answer", *asked, lines.answer),
        ]

    def _learned(self, times: Mapping[str, datetime]) -> list[Node]:
        """Give the data sets that have any of this feedback, each with those rows, and with the runs on it."""
        if not times:
            return []
        since = min(times.values())
        later = [each for each in list_snapshots(self._session) if each.created_at >= since]
        found = [(each, self._rows(each, times.keys())) for each in later]
        lost = sum(rows is None for _, rows in found)
        holding = [(each, rows) for each, rows in found if rows]
        nodes = self._lines.some("data set", holding, len(holding), lambda each: self._holding(*each))
        return [*nodes, *([Node("data set", "", LOST.format(count=lost), erased=True, more=lost)] if lost else [])]

    def _rows(self, snapshot: DatasetSnapshot, ids: AbstractSet[str]) -> list[DataRow] | None:
        try:
            return rows_with(self._lines.folder(snapshot.digest), ids, self._lines.limit)
        except (OSError, ValueError, TypeError):
            return None

    def _holding(self, snapshot: DatasetSnapshot, rows: list[DataRow]) -> Node:
        trained = any(row.is_trained_on for row in rows)
        note = f", {len(rows):,} with it{'' if trained else ', and not trained on'}"
        node = self._lines.data_set(snapshot, note)
        shown = self._lines.some("row", rows, len(rows), lambda row: self._lines.row(snapshot.digest, row))
        return self._once(node, lambda: [*shown, *(self.data_set(snapshot) if trained else [])])

    def _run(self, row: Run) -> Node:
        return self._once(self._lines.run(row), lambda: self.run(row))

    def _adapter(self, row: Adapter) -> Node:
        most = None if self._lines.limit is None else min(self._lines.limit, ON_THE_WAY)
        return self._once(self._lines.adapter(row), lambda: self.adapter(row, most))

    def _decision(self, row: Decision) -> Node:
        proposal = self._session.get(Proposal, row.proposal_id)
        adapter = self._session.get(Adapter, proposal.adapter_digest) if proposal else None
        return with_children(self._lines.decision(row), [self._adapter(adapter)] if adapter else [])

    def _once(self, node: Node, children: Callable[[], Iterable[Node]]) -> Node:
        key = (node.kind, node.id)
        if key in self._shown:
            return replace(node, again=True)
        self._shown.add(key)
        return with_children(node, children())
