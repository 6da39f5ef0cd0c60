"""Which taught question somebody asks in other words: the one that is nearest to it in meaning.

A small model that learned a question's answer gives it to that question, and misses it in words that it was not
trained on. Telling twenty questions apart is easier than answering them, though, and the base model's early states,
which training leaves alone, tell more of them apart than the adapter does (learning/meaning.py). So what is near a
taught question is put to the adapter as it was taught. docs/decisions/0015 and 0016 have the figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from learning.meaning import Meaning, unit
from learning.states import Vectors

NEAR = 0.2
"""The cosine from which a question is read as the nearest taught one; docs/decisions/0016 says what others give."""


@dataclass(frozen=True)
class Reading:
    """The taught questions (n), and of each the mean direction of its wordings' meanings, (n, directions)."""

    questions: tuple[str, ...]
    meaning: Meaning
    centres: Vectors

    def of(self, states: Vectors) -> list[str | None]:
        """Return for each of the states (texts, width) the taught question as which it is read, or None."""
        cosines = unit(self.meaning.of(states)) @ self.centres.T
        nearest = cosines.argmax(axis=1)
        return [self.questions[at] if cosines[row, at] >= NEAR else None for row, at in enumerate(nearest.tolist())]


def fit_reading(questions: Sequence[str], meaning: Meaning, meanings: Vectors, asked: Sequence[int]) -> Reading:
    """Learn `questions` from what wordings mean (texts, directions), and from which of them, from 0 on, each asks."""
    centres = np.zeros((len(questions), meanings.shape[1]), dtype=np.float32)
    np.add.at(centres, np.asarray(asked), unit(meanings))
    return Reading(tuple(questions), meaning, unit(centres))
