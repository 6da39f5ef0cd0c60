"""Which of the accepted corrections answers a question? Words choose a shortlist, meaning and words rank it.

docs/benchmarks.md says how well that works, and where it does not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from learning.accepted import Changes, Known, Place, Scope
from learning.lexical import LexicalIndex

SHORTLIST = 64
"""Entries that are compared by meaning: their words fit best."""
WORDS = 0.5
"""What full coverage of the question's words adds to the score."""
MAX_VECTORS = 20_000
"""Entries whose vectors are kept; at 576 dimensions they take 92 MB."""

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Turns texts into unit vectors, (texts, width)."""


@dataclass(frozen=True)
class Match:
    """An accepted correction that may answer the question.

    `meaning` is the mean of two cosines (-1 to 1): of the question with the corrected question, and with its answer.
    `score` adds to it `WORDS` times the share of the question's words that the correction has; matches rank by it.
    """

    known: Known
    score: float
    meaning: float


class _Entries:
    """What is known in one scope."""

    def __init__(self) -> None:
        self._words = LexicalIndex()
        self._known: list[Known | None] = []
        self._numbers: dict[str, int] = {}
        self._gone: list[int] = []

    def put(self, key: str, known: Known | None) -> None:
        """Let this be what is known at `key`; None: nothing."""
        if key in self._numbers:
            number = self._numbers.pop(key)
            self._known[number] = None
            self._gone.append(number)
        if known is not None:
            self._numbers[key] = self._words.add(known.question, known.answer)
            self._known.append(known)

    def shortlist(self, question: str) -> list[tuple[Known, float]]:
        """Return what fits best by its words, with the share of the question's words that it covers."""
        coverage = self._words.coverage(question)
        coverage[self._gone] = -1
        best = np.arange(len(coverage))
        if len(coverage) > SHORTLIST:
            best = np.argpartition(-coverage, SHORTLIST)[:SHORTLIST]
        return [(known, float(coverage[number])) for number in best if (known := self._known[number])]


class Retriever:
    """Finds what is known. Not for several threads at once."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._entries: dict[Scope, _Entries] = {}
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def update(self, changes: Changes) -> None:
        """Take over what `AcceptedCorrections.sync` returned."""
        for place, known in changes.items():
            self._at(place).put(place.key, known)

    def search(self, question: str, scopes: Sequence[Scope], limit: int) -> list[Match]:
        """Return the `limit` best matches in these scopes, best first; of equal questions that of the later scope."""
        found = {
            known.question.casefold(): (known, coverage)
            for scope in scopes
            if scope in self._entries
            for known, coverage in self._entries[scope].shortlist(question)
        }
        shortlist = list(found.values())
        if not shortlist:
            return []
        meanings = self._meaning(question, [known for known, _ in shortlist]).tolist()
        matches = [
            Match(known, meaning + WORDS * coverage, meaning)
            for (known, coverage), meaning in zip(shortlist, meanings, strict=True)
        ]
        return sorted(matches, key=lambda match: match.score, reverse=True)[:limit]

    def _at(self, place: Place) -> _Entries:
        return self._entries.setdefault(place.scope, _Entries())

    def _meaning(self, question: str, known: Sequence[Known]) -> NDArray[np.float32]:
        """Return the mean cosine of the question with each one's question and answer, as (known,)."""
        texts = [text for each in known for text in (each.question, each.answer)]
        new = [text for text in dict.fromkeys([question, *texts]) if text not in self._vectors]
        if new:
            fresh = dict(zip(new, self._embed(new), strict=True))
            self._vectors |= fresh
        asked = self._vectors[question]
        cosines = np.stack([self._vectors[text] for text in texts]) @ asked
        self._forget()
        means: NDArray[np.float32] = cosines.reshape(-1, 2).mean(axis=1)
        return means

    def _forget(self) -> None:
        while len(self._vectors) > 2 * MAX_VECTORS:
            del self._vectors[next(iter(self._vectors))]
