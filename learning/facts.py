"""What a snapshot teaches, as facts. No model library is loaded here, so commands that only ask that start at once."""

from learning.curation import Snapshot
from learning.wordings import Fact


def facts_of(snapshot: Snapshot) -> list[Fact]:
    """Return what the snapshot teaches: its rows, with what people asked in other words."""
    return [Fact(row.question, row.answer, row.wordings) for row in snapshot.rows]


def subjects_of(snapshot: Snapshot) -> list[Fact]:
    """Return all that the snapshot is about: its rows, and the questions of preferences that have no row."""
    known = {row.question for row in snapshot.rows}
    preferred = [*((pair.question, pair.chosen) for pair in snapshot.pairs if pair.split == "train"),
                 *((thumb.question, thumb.answer) for thumb in snapshot.thumbs if thumb.split == "train")]  # fmt: skip
    others = {question: answer for question, answer in preferred if question not in known}
    return [*facts_of(snapshot), *(Fact(question, answer) for question, answer in others.items())]
