"""What settling a question takes and gives: what people said of it, and the records that this makes."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from learning.curation.snapshot import Contradiction, LeftOut, PreferencePair, Row, Rule, Thumb


@dataclass(frozen=True, slots=True)
class Said:
    """One person's feedback, cleaned. `text` is the corrected answer, `words` stands for the question's words.

    `at` and `settled` are times in ISO 8601, UTC; `settled` is when a reviewer accepted it over what contradicted it,
    "" if never. `vouched` says that a reviewer accepted it, for whatever reason.
    """

    id: str
    person: str
    kind: str
    question: str
    answer: str
    text: str
    private: bool
    at: str
    words: str
    settled: str
    vouched: bool


@dataclass
class Settlement:
    """The records that one question's feedback makes.

    `minority` counts the votes that were outvoted, of `votes`; a choice between two answers is one, too.
    """

    rows: list[Row] = field(default_factory=list)
    pairs: list[PreferencePair] = field(default_factory=list)
    thumbs: list[Thumb] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    votes: int = 0
    minority: int = 0

    def leave_out(self, items: Iterable[Said], rule: Rule, reason: str) -> None:
        """Note that these are not trained on."""
        self.left_out += [LeftOut(item.id, rule, reason) for item in items]


def ids_of(items: Iterable[Said]) -> tuple[str, ...]:
    """Return the ids in the order in which it was said."""
    return tuple(item.id for item in sorted(items, key=lambda item: (item.at, item.id)))
