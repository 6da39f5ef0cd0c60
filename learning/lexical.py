"""An index of questions with their answers by their words; says with which of them a new question shares words.

A word counts by how rare it is among what is indexed (inverse document frequency, Robertson and Sparck Jones 1976); an
expression that the thesaurus has in its place counts less, and so does a word that only the answer has.
"""

import math
from array import array
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from governance.poisoning.remarks import FUNCTION_WORDS
from learning.thesaurus import WORD, load_thesaurus
from learning.wordings import stem

SYNONYM = 0.7
"""What an expression in place of the asked one counts; the asked one itself counts 1."""
ANSWER = 0.8
"""What a word of the answer counts that the question does not have."""
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Concept:
    """One expression of a question: its stems, and those of the expressions that may stand in its place."""

    stems: tuple[str, ...]
    others: tuple[tuple[str, ...], ...] = ()


def stems_of(text: str) -> list[str]:
    """Return the stems of the words that carry meaning."""
    words = WORD.findall(text.lower().replace("'s", "").replace("\u2019s", ""))
    return [stem(word) for word in words if word not in FUNCTION_WORDS]


def concepts_of(text: str) -> list[Concept]:
    """Cut a question into its expressions, as far as the thesaurus knows them, and single words."""
    concepts, at = [], 0
    for found in load_thesaurus().find(text):
        concepts += [Concept((word,)) for word in stems_of(text[at : found.start])]
        if own := tuple(stems_of(text[found.start : found.end])):
            others = {tuple(stems_of(other)) for other in found.others}
            concepts.append(Concept(own, tuple(sorted(others - {()}))))
        at = found.end
    return concepts + [Concept((word,)) for word in stems_of(text[at:])]


class LexicalIndex:
    """Grows one entry at a time; entry numbers count from 0 and are never used again."""

    def __init__(self) -> None:
        self._of_question: defaultdict[str, array[int]] = defaultdict(lambda: array("i"))
        self._of_answer: defaultdict[str, array[int]] = defaultdict(lambda: array("i"))
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, question: str, answer: str) -> int:
        """Index a question with its answer; return its number."""
        number, self._size = self._size, self._size + 1
        asked = set(stems_of(question))
        for term in asked:
            self._of_question[term].append(number)
        for term in set(stems_of(answer)) - asked:
            self._of_answer[term].append(number)
        return number

    def coverage(self, question: str) -> Scores:
        """Return, for each entry, which share (0 to 1) of the question's weight of words it has, as (entries,)."""
        total, weight = np.zeros(self._size, dtype=np.float32), 0.0
        for concept in concepts_of(question):
            own = self._weight(concept.stems)
            total += own * self._found(concept)
            weight += own
        return total / weight if weight else total

    def _found(self, concept: Concept) -> Scores:
        best = np.zeros(self._size, dtype=np.float32)
        for stems, worth in self._forms(concept):
            numbers, share = self._share(stems)
            best[numbers] = np.maximum(best[numbers], worth * share)
        return best

    def _forms(self, concept: Concept) -> Iterator[tuple[tuple[str, ...], float]]:
        yield concept.stems, 1.0
        for other in concept.others:
            yield other, SYNONYM

    def _share(self, stems: tuple[str, ...]) -> tuple[NDArray[np.int32], Scores]:
        """Return the entries that have any of these stems, and which share of them."""
        parts = [
            (np.frombuffer(postings[term], dtype=np.int32), worth / len(stems))
            for postings, worth in ((self._of_question, 1.0), (self._of_answer, ANSWER))
            for term in stems
            if term in postings
        ]
        if not parts:
            return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
        numbers = np.concatenate([part for part, _ in parts])
        worths = np.concatenate([np.full(len(part), worth, dtype=np.float32) for part, worth in parts])
        if len(stems) == 1:  # an entry has a word in its question or in its answer's list, not in both
            return numbers, worths
        distinct, places = np.unique(numbers, return_inverse=True)
        return distinct, np.bincount(places, weights=worths).astype(np.float32)

    def _weight(self, stems: tuple[str, ...]) -> float:
        counts = [len(self._of_question.get(term, ())) + len(self._of_answer.get(term, ())) for term in stems]
        return max(math.log(1 + (self._size + 0.5) / (count + 0.5)) for count in counts)
