"""Which questions an adapter answers: a logistic regression on what questions mean to the base model's early layers.

Teaching a small model twenty facts hard enough that it knows them in any words takes away what it knew of everything
else. So an adapter's folder also holds its scope, fitted to tell its own questions from general ones, and the engine
answers what lies outside with the base model. docs/decisions/0008 has the figures. The same meanings
(learning/meaning.py) tell which of the adapter's questions is asked (learning/reading.py).
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from learning.adapter_files import SCOPE, AdapterError
from learning.curation import question_key
from learning.meaning import Meaning, StatesOf
from learning.reading import Reading, fit_reading
from learning.recipe import Recipe
from learning.replay import replay_prompts
from learning.states import Vectors
from learning.steps import draw_question
from learning.wordings import Fact, Wordings, held_out_wordings

MARGIN = 0.25
"""How far inside the scope, in logits, each taught question lies at least."""
WORDINGS = ((240, 240), (24, 1200), (8, 2400))
"""Drawn wordings of each fact: the most of these pairs, so many of each but so many in all."""
MOST_WORDINGS = 2400
MOST_QUESTIONS = 1_000
"""With more than these, every question is put to the adapter as it is."""
SPREAD = 10.0
"""The mean length of the meanings of general prompts, as the regression is fitted on them."""
ITERATIONS = 500
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Scope:
    """A question is in scope where `weight` (width,) times its states, plus `bias`, is above 0.

    `reading` tells which taught question it is, where the adapter learned that.
    """

    weight: Vectors
    bias: float
    reading: Reading | None = None

    def holds(self, states: Vectors) -> NDArray[np.bool_]:
        """Return for each of the states (questions, width) whether it is in scope."""
        inside: NDArray[np.bool_] = states @ self.weight + self.bias > 0
        return inside


def write_scope(folder: Path, scope: Scope) -> None:
    """Write `scope.safetensors` into an adapter's folder."""
    tensors = {"weight": scope.weight, "bias": np.array([scope.bias], dtype=np.float32)}
    metadata = None
    if reading := scope.reading:
        tensors |= {"mean": reading.meaning.mean, "directions": reading.meaning.directions, "centres": reading.centres}
        metadata = {"questions": json.dumps(reading.questions)}
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, folder / SCOPE, metadata)


def read_scope(folder: Path, width: int) -> Scope | None:
    """Return the scope of the adapter in `folder`; None when it has none, so that it answers everything.

    `width` is that of a question's states (learning/meaning.py).

    Raises:
        AdapterError: the file is damaged, or does not fit a base model of this width.

    """
    if not (folder / SCOPE).exists():
        return None
    try:
        with safe_open(folder / SCOPE, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
            questions = tuple(json.loads((file.metadata() or {}).get("questions", "[]")))
        _check(folder.name, tensors, width, len(questions))
    except (SafetensorError, KeyError, ValueError) as error:
        raise AdapterError(f"{SCOPE} of adapter {folder.name} is not readable: {error}. Train again.") from error
    reading = None
    if questions:
        reading = Reading(questions, Meaning(tensors["mean"], tensors["directions"]), tensors["centres"])
    return Scope(tensors["weight"].astype(np.float32), float(tensors["bias"][0]), reading)


def _check(name: str, tensors: dict[str, Any], width: int, questions: int) -> None:
    wanted: dict[str, tuple[int, ...]] = {"weight": (width,), "bias": (1,)}
    if questions:
        directions = tensors["directions"].shape[-1]
        wanted |= {"mean": (width,), "directions": (width, directions), "centres": (questions, directions)}
    found = {each: tensors[each].shape for each in wanted}
    if found != wanted:
        have, need = (" and ".join(map(str, shapes.values())) for shapes in (found, wanted))
        raise AdapterError(
            f"{SCOPE} of adapter {name} has shapes {have}, and {need} are needed. Train it with this base model."
        )
    if not all(np.isfinite(tensors[each]).all() for each in wanted):
        raise AdapterError(f"{SCOPE} of adapter {name} holds infinity or no number. Train again.")


def fit_scope(facts: Sequence[Fact], recipe: Recipe, meaning: Meaning, states_of: StatesOf) -> Scope:
    """Fit the scope of an adapter that learned `facts`: their questions and drawn wordings inside, general prompts out.

    `meaning` is the base model's, `states_of` returns its states (texts, width). The same input gives the same scope.
    """
    told = [text for fact in facts for text in (fact.question, *fact.wordings)]
    known = {question_key(text) for text in told}
    general = meaning.of(states_of([prompt for prompt in replay_prompts() if question_key(prompt) not in known]))
    drawn = _wordings(facts, recipe)
    taught = meaning.of(states_of([*told, *(text for _, text in drawn)]))
    scale = SPREAD / float(np.linalg.norm(general, axis=1).mean())
    inside, outside = (taught * scale).astype(np.float64), (general * scale).astype(np.float64)
    direction, bias = _logistic_regression(inside, outside, recipe.scope.penalty)
    lowest = float((inside[: len(told)] @ direction + bias).min())
    threshold = min(recipe.scope.threshold, lowest - MARGIN)
    weight = (meaning.directions @ direction * scale).astype(np.float32)
    reading = None
    if recipe.scope.reading and len(facts) <= MOST_QUESTIONS:
        asked = [at for at, fact in enumerate(facts) for _ in (fact.question, *fact.wordings)]
        asked += [at for at, _ in drawn]
        reading = fit_reading([fact.question for fact in facts], meaning, taught, asked)
    return Scope(weight, bias - threshold - float(meaning.mean @ weight), reading)


def _wordings(facts: Sequence[Fact], recipe: Recipe) -> list[tuple[int, str]]:
    """Draw wordings of the facts, each with the place of its fact."""
    source = random.Random(recipe.seed)  # noqa: S311 - wordings, not secrets
    wordings, held_out = Wordings(facts), held_out_wordings(facts)
    each = max(1, *(min(most, total // len(facts)) for most, total in WORDINGS))
    return [
        (at, draw_question(fact, held_out[at], partial(wordings.draw, at), recipe, source))
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
