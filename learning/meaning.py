"""What tells the meanings of questions apart: linear discriminants of a base model's early states, from paraphrases.

A base model's states tell a question's words, form and mood as much as its meaning. Here the directions are kept in
which questions of different meanings differ most, held against how much the wordings of one question differ (linear
discriminant analysis: Fisher 1936; Rao 1948): paraphrases.json has invented questions about the work of all kinds of
organisations, each in several wordings. In these directions the cosine of two questions says whether they ask the same.
docs/decisions/0016 has the figures.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from learning.states import Vectors, mean_states_of

PARAPHRASES_FILE = Path(__file__).parent / "paraphrases.json"
SHIPPED_FILE = Path(__file__).parent / "meaning.safetensors"
"""The built-in model's, as `load_meaning` writes it."""
LEAD = "Question:"
"""What a question is read behind; without anything before it, its first word's state would be like no other."""
DEPTHS = (0.27, 0.4)
"""Which shares of the model's layers the two states of a question come from."""
DIRECTIONS = 256
SHRINKAGE = 0.1
"""How much of the mean variance within questions is added to each direction's, as the wordings are few."""
READ_AT_ONCE = 480

StatesOf = Callable[[Sequence[str]], Vectors]
"""Turns questions into states, (questions, width)."""


@dataclass(frozen=True)
class Meaning:
    """`states` (texts, width) less `mean` (width,), times `directions` (width, at most DIRECTIONS)."""

    mean: Vectors
    directions: Vectors

    def of(self, states: Vectors) -> Vectors:
        """Return what the states mean, as (texts, directions)."""
        return np.asarray((states - self.mean) @ self.directions, dtype=np.float32)


def unit(vectors: Vectors) -> Vectors:
    """Scale each row to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True).clip(min=1e-9), dtype=np.float32)


def question_states(model: Any, tokenizer: Any, texts: Sequence[str]) -> Vectors:
    """Return the states that tell questions apart, as (texts, 2 * the model's width)."""
    return mean_states_of(model, tokenizer, tokenizer(LEAD)["input_ids"], texts, DEPTHS)


@cache
def paraphrases() -> tuple[tuple[str, ...], ...]:
    """Return invented questions, each as all its wordings."""
    subjects = json.loads(PARAPHRASES_FILE.read_text(encoding="utf-8"))
    return tuple(tuple(wordings) for subject in subjects for wordings in subject["questions"])


def fit_meaning(states: Vectors, questions: Sequence[int]) -> Meaning:
    """Find the directions from the states (texts, width) of wordings, and of which question (from 0 on) each is."""
    rows, asked = states.astype(np.float64), np.asarray(questions)
    mean = rows.mean(axis=0)
    rows -= mean
    centres = np.zeros((asked.max() + 1, rows.shape[1]))
    np.add.at(centres, asked, rows)
    centres /= np.bincount(asked)[:, None]
    rest = rows - centres[asked]
    within = rest.T @ rest / len(rest)
    within += SHRINKAGE * np.trace(within) / len(within) * np.eye(len(within))
    variances, axes = np.linalg.eigh(within)
    whitening = axes / np.sqrt(variances)
    _, _, between = np.linalg.svd(centres @ whitening, full_matrices=False)
    directions = whitening @ between[:DIRECTIONS].T
    return Meaning(mean.astype(np.float32), directions.astype(np.float32))


def load_meaning(base_digest: str, folder: Path, states_of: StatesOf, reading: Callable[[int, int], None]) -> Meaning:
    """Return the base model's directions: shipped, kept in `folder`, or else fitted now and kept there.

    `reading` hears how many paraphrases were read, of how many: for a large model that takes minutes.
    """
    key = _key(base_digest)
    kept = folder / f"meaning-{key[:16]}.safetensors"
    for path in (SHIPPED_FILE, kept):
        if found := _read(path, key):
            return found
    texts = [text for wordings in paraphrases() for text in wordings]
    states = []
    for start in range(0, len(texts), READ_AT_ONCE):
        reading(start, len(texts))
        states.append(states_of(texts[start : start + READ_AT_ONCE]))
    asked = [at for at, wordings in enumerate(paraphrases()) for _ in wordings]
    meaning = fit_meaning(np.concatenate(states), asked)
    _write(kept, key, meaning)
    return _read(kept, key) or meaning  # as it is kept, so that the first run gives what later ones give


def _key(base_digest: str) -> str:
    """Return what the directions depend on, as a SHA-256 in hex."""
    said = [base_digest, LEAD, DEPTHS, DIRECTIONS, SHRINKAGE, paraphrases()]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _read(path: Path, key: str) -> Meaning | None:
    """Return what is kept at `path`, or None where that is nothing, damaged, or of another base model."""
    with suppress(OSError, SafetensorError, KeyError), safe_open(path, framework="numpy") as file:
        if (file.metadata() or {}).get("key") == key:
            return Meaning(file.get_tensor("mean"), file.get_tensor("directions").astype(np.float32))
    return None


def _write(path: Path, key: str, meaning: Meaning) -> None:
    """Write the directions, in half precision, which is finer than they are; a reader sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.draft")
    save_file({"mean": meaning.mean, "directions": meaning.directions.astype(np.float16)}, draft, {"key": key})
    draft.replace(path)
