"""Back: from an answer to its adapter, run, data set, rows, feedback and people."""

from learning.lineage.lines import Lines, unknown, with_children
from learning.lineage.nodes import Node, more
from learning.lineage.rows import DataRow, first_rows
from storage.adapters import Adapter
from storage.break_glass import break_glass_of
from storage.datasets import DatasetSnapshot
from storage.feedback import Feedback
from storage.interactions import Interaction
from storage.proposals import decisions_on, proposal_for
from storage.runs import Run

BESIDE = "served when it was trained"


class Back:
    """Says where things come from."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._session = lines.session

    def answer(self, row: Interaction) -> list[Node]:
        """Give who asked, the adapter that answered, and the corrections that it was shown or gave."""
        used = self._lines.feedback_with(list(row.source.get("feedback", [])))
        return [*self._lines.somebody(row.asker_id, "who asked"), *self._adapter(row.adapter_digest), *used]

    def adapter(self, row: Adapter) -> list[Node]:
        """Give its run, what that learned from, what served then, who approved it, and what the log has."""
        run = self._session.get(Run, row.run_id) if row.run_id else None
        made = [self._lines.run(run)] if run else []
        return [
            *made, *self._data_set(row.snapshot_digest), *self._beside(row.parent_digest), *self._proposal(row.digest),
            *self._lines.audit(row.digest),
        ]  # fmt: skip

    def run(self, row: Run) -> list[Node]:
        """Give who started it, and what it learned from."""
        started = self._lines.somebody(row.started_by, "who started it")
        return [*started, *self._data_set(row.snapshot_digest), *self._beside(row.parent_digest)]

    def data_set(self, row: DatasetSnapshot) -> list[Node]:
        """Give its rows, each with the feedback that it is made of."""
        try:
            rows, total = first_rows(self._lines.folder(row.digest), self._lines.limit)
        except (OSError, ValueError, TypeError):
            return []
        return [*(with_children(self._lines.row(row.digest, each), self.data_row(each)) for each in rows),
                *more("row", total - len(rows))]  # fmt: skip

    def data_row(self, row: DataRow) -> list[Node]:
        """Give the feedback that a row is made of."""
        return self._lines.feedback_with(row.feedback_ids)

    def feedback(self, row: Feedback) -> list[Node]:
        """Give the answer that it was said of, who said it, who reviewed it, and the log's records."""
        about = self._session.get(Interaction, row.interaction_id) if row.interaction_id else None
        return [
            *([self._lines.answer(about)] if about else []),
            *self._lines.somebody(row.person_id, "who said it"),
            *self._lines.somebody(row.reviewed_by, "who reviewed it"),
            *self._lines.audit(row.id),
        ]

    def _adapter(self, digest: str | None) -> list[Node]:
        if digest is None:
            return []
        found = self._session.get(Adapter, digest)
        return [with_children(self._lines.adapter(found), self.adapter(found)) if found else unknown("adapter", digest)]

    def _data_set(self, digest: str | None) -> list[Node]:
        found = self._session.get(DatasetSnapshot, digest) if digest else None
        return [with_children(self._lines.data_set(found), self.data_set(found))] if found else []

    def _beside(self, digest: str | None) -> list[Node]:
        found = self._session.get(Adapter, digest) if digest else None
        return [self._lines.adapter(found, BESIDE)] if found else []

    def _proposal(self, digest: str) -> list[Node]:
        proposal = proposal_for(self._session, digest)
        if proposal is None:
            return []
        glass = break_glass_of(self._session, digest)
        broken = [with_children(self._lines.break_glass(glass), self._lines.audit(glass.id))] if glass else []
        decided = map(self._lines.decision, decisions_on(self._session, proposal.id))
        return [with_children(self._lines.proposal(proposal), broken, decided, self._lines.audit(proposal.id))]
