"""Which questions an adapter answers: a logistic regression on what the base model's early layers make of a question.

Teaching a small model twenty facts hard enough that it knows them in any words takes away what it knew of everything
else. So an adapter's folder also holds its scope, fitted to tell its own questions from general ones, and the engine
answers what lies outside with the base model. docs/decisions/0008 has the figures.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from learning.adapter_files import SCOPE, AdapterError
from learning.curation import question_key
from learning.recipe import Recipe
from learning.replay import replay_prompts
from learning.states import Vectors, whiten
from learning.steps import draw_question
from learning.wordings import Fact, Wordings, held_out_wordings

MARGIN = 0.25
"""How far inside the scope, in logits, each taught question lies at least."""
FEW_WORDINGS, MANY_WORDINGS, MOST_WORDINGS = 8, 240, 1200
"""Drawn wordings: MANY_WORDINGS among all facts, but FEW_WORDINGS of each, but MOST_WORDINGS in all."""
ITERATIONS = 500
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Scope:
    """A question is in scope where `weight` (width,) times its mean state, plus `bias`, is above 0."""

    weight: Vectors
    bias: float

    def holds(self, states: Vectors) -> NDArray[np.bool_]:
        """Return for each of the states (questions, width) whether it is in scope."""
        inside: NDArray[np.bool_] = states @ self.weight + self.bias > 0
        return inside


def write_scope(folder: Path, scope: Scope) -> None:
    """Write `scope.safetensors` into an adapter's folder."""
    save_file({"weight": scope.weight, "bias": np.array([scope.bias], dtype=np.float32)}, folder / SCOPE)


def read_scope(folder: Path, width: int) -> Scope | None:
    """Return the scope of the adapter in `folder`; None when it has none, so that it answers everything.

    Raises:
        AdapterError: the file is damaged, or does not fit a base model of this width.

    """
    if not (folder / SCOPE).exists():
        return None
    try:
        tensors = load_file(folder / SCOPE)
        weight, bias = tensors["weight"], tensors["bias"]
    except (SafetensorError, KeyError) as error:
        raise AdapterError(f"{SCOPE} of adapter {folder.name} is not readable: {error}. Train again.") from error
    if weight.shape != (width,) or bias.shape != (1,):
        raise AdapterError(
            f"{SCOPE} of adapter {folder.name} has shapes {weight.shape} and {bias.shape}, "
            f"and ({width},) and (1,) are needed. Train it with this base model."
        )
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise AdapterError(f"{SCOPE} of adapter {folder.name} holds infinity or no number. Train again.")
    return Scope(weight.astype(np.float32), float(bias[0]))


def fit_scope(facts: Sequence[Fact], recipe: Recipe, states_of: Callable[[Sequence[str]], Vectors]) -> Scope:
    """Fit the scope of an adapter that learned `facts`: their questions and drawn wordings inside, general prompts out.

    `states_of` returns the base model's mean states (texts, width). The same input gives the same scope.
    """
    told = [text for fact in facts for text in (fact.question, *fact.wordings)]
    known = {question_key(text) for text in told}
    general = states_of([prompt for prompt in replay_prompts() if question_key(prompt) not in known])
    taught = states_of([*told, *_wordings(facts, recipe)])
    mean, whitening = whiten(general)
    inside, outside = (taught - mean) @ whitening, (general - mean) @ whitening
    direction, bias = _logistic_regression(inside, outside, recipe.scope.penalty)
    lowest = float((inside[: len(told)] @ direction + bias).min())
    threshold = min(recipe.scope.threshold, lowest - MARGIN)
    weight = (whitening @ direction).astype(np.float32)
    return Scope(weight, bias - threshold - float(mean @ weight))


def _wordings(facts: Sequence[Fact], recipe: Recipe) -> list[str]:
    source = random.Random(recipe.seed)  # noqa: S311 - wordings, not secrets
    wordings, held_out = Wordings(facts), held_out_wordings(facts)
    each = max(MANY_WORDINGS // len(facts), min(FEW_WORDINGS, MOST_WORDINGS // len(facts)), 1)
    return [
        draw_question(fact, held_out[at], partial(wordings.draw, at), recipe, source)
        for at, fact in enumerate(facts[:MOST_WORDINGS])
        for _ in range(each)
    ]


def _logistic_regression(inside: Doubles, outside: Doubles, penalty: float) -> tuple[Doubles, float]:
    """Return weights and bias of the least mean cross-entropy, both sides alike, plus penalty * |weights|^2."""
    states = torch.tensor(np.concatenate([inside, outside]), dtype=torch.float64)
    sides = torch.tensor([1.0] * len(inside) + [0.0] * len(outside), dtype=torch.float64)
    shares = torch.where(sides > 0, 0.5 / len(inside), 0.5 / len(outside))
    weights = torch.zeros(states.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimizer.zero_grad()
        logits = states @ weights + bias
        value = torch.nn.functional.binary_cross_entropy_with_logits(logits, sides, shares, reduction="sum")
        value = value + penalty * (weights @ weights)
        value.backward()
        return value

    optimizer.step(loss)
    return weights.detach().numpy(), float(bias.detach())
