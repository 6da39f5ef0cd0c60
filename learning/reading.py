"""Which taught question somebody asks in other words: a softmax regression on the states that decide the scope.

A small model that learned a question's answer gives it to that question, and misses it in words that it was not
trained on. Telling twenty questions apart is easier than answering them, though, and the base model's early states,
which training leaves alone, tell more of them apart than the adapter does. So what is surely a taught question in
other words is put to the adapter as it was taught. docs/decisions/0015 has the figures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
Doubles = NDArray[np.float64]
CERTAIN = 0.5
"""The probability from which a question is read as a taught one: likelier than all else together."""
MOST_QUESTIONS = 1_000
"""With more than these, every question is put to the adapter as it is."""
PENALTY = 0.003
ITERATIONS = 200


@dataclass(frozen=True)
class Reading:
    """The taught questions (n), and of each, and last of none of them, weights (n + 1, width) and bias (n + 1,)."""

    questions: tuple[str, ...]
    weights: Vectors
    biases: Vectors

    def of(self, states: Vectors) -> list[str | None]:
        """Return for each of the states (texts, width) the taught question that it surely is, or None."""
        logits = states.astype(np.float64) @ self.weights.T + self.biases
        logits -= logits.max(axis=1, keepdims=True)
        likeliest, whole = logits.argmax(axis=1), np.exp(logits).sum(axis=1)
        return [
            self.questions[at] if at < len(self.questions) and 1.0 / total >= CERTAIN else None
            for at, total in zip(likeliest.tolist(), whole.tolist(), strict=True)
        ]


def fit_reading(questions: Sequence[str], states: Doubles, asked: Sequence[int]) -> tuple[Doubles, Doubles]:
    """Return weights (n + 1, width) and biases (n + 1,) that tell from `states` (texts, width) which question it is.

    `asked` has each text's question as a place in `questions`, n for none. The least mean cross-entropy plus
    PENALTY * |weights|^2; the same input gives the same weights.
    """
    rows = torch.tensor(states, dtype=torch.float64)
    targets = torch.tensor(list(asked))
    weights = torch.zeros(len(questions) + 1, rows.shape[1], dtype=torch.float64, requires_grad=True)
    biases = torch.zeros(len(questions) + 1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, biases], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(rows @ weights.T + biases, targets)
        value = value + PENALTY * (weights * weights).sum()
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach().numpy(), biases.detach().numpy()
