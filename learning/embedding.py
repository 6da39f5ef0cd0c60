"""What a text means to the base model, as a vector: its states in an early layer (learning/states.py), whitened.

The states of a plain language model all point the same way, which hides what tells texts apart; decorrelating them over
texts of all kinds (whitening; Su et al. 2021, arXiv 2103.15316) makes their cosine a measure of meaning.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from learning.encoding import Encoder
from learning.engine import Engine
from learning.replay import replay_prompts
from learning.states import Vectors, batches, in_order, mean_states

DEPTH = 0.27
"""Which share of the model's layers a text passes through; the 8th of 30 was the built-in model's best."""
SHRINKAGE = 0.3
"""How much of the mean variance is added to each direction before whitening, as the texts are fewer than directions."""


def whiten(states: Vectors) -> tuple[Vectors, Vectors]:
    """Return the mean of the states (texts, width), and what decorrelates them, as (width, width)."""
    mean = states.mean(axis=0)
    covariance = np.cov(states.T)
    covariance += SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    values, directions = np.linalg.eigh(covariance)
    return mean, (directions / np.sqrt(values)).astype(np.float32)


class Embedder:
    """Turns texts into unit vectors (texts, width) with an engine's base model; the metric is kept in the cache."""

    def __init__(self, engine: Engine, system_prompt: str, cache_folder: Path) -> None:
        self._engine = engine
        self._system_prompt = system_prompt
        self._mean, self._whitening = self._metric(replay_prompts(), cache_folder)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector for each text; blocks until the engine's thread has a moment."""
        states = (self._states(texts) - self._mean) @ self._whitening
        vectors: Vectors = states / np.linalg.norm(states, axis=1, keepdims=True).clip(min=1e-9)
        return vectors

    def _metric(self, samples: Sequence[str], cache_folder: Path) -> tuple[Vectors, Vectors]:
        said = "\0".join([self._engine.base.digest, self._system_prompt, f"{DEPTH} {SHRINKAGE}", *samples])
        path = cache_folder / f"embedding-{hashlib.sha256(said.encode()).hexdigest()[:32]}.npz"
        if not path.exists():
            mean, whitening = whiten(self._states(samples))
            cache_folder.mkdir(parents=True, exist_ok=True)
            draft = path.with_suffix(".draft.npz")
            np.savez(draft, mean=mean, whitening=whitening)
            draft.replace(path)
        with np.load(path) as kept:
            return kept["mean"], kept["whitening"]

    def _states(self, texts: Sequence[str]) -> Vectors:
        """Borrow the model for one batch after the other, so that answers go on in between."""
        read = [self._engine.borrow(self._reading([texts[at] for at in batch])) for batch in batches(texts)]
        return in_order(read, texts)

    def _reading(self, texts: Sequence[str]) -> Callable[[Any, Any, Callable[[str | None], None]], Vectors]:
        def read(model: Any, tokenizer: Any, route: Callable[[str | None], None]) -> Vectors:
            route(None)
            return mean_states(model, tokenizer, Encoder(tokenizer, self._system_prompt).prefix(), texts, (DEPTH,))

        return read
