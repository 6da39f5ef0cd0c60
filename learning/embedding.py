"""What a text means to the base model, as a vector: its hidden states in an early layer, averaged and whitened.

The states of a plain language model all point the same way, which hides what tells texts apart; decorrelating them over
texts of all kinds (whitening; Su et al. 2021, arXiv 2103.15316) makes their cosine a measure of meaning. An early layer
is better than a late one, which is about the next word, and cheaper. docs/benchmarks.md has the measurements.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.encoding import Encoder
from learning.engine import Engine
from learning.replay import replay_prompts

DEPTH = 0.27
"""Which share of the model's layers a text passes through; the 8th of 30 was the built-in model's best."""
SHRINKAGE = 0.3
"""How much of the mean variance is added to each direction before whitening, as the texts are fewer than directions."""
BATCH = 24
"""Texts of one forward pass: under a third of a second on two cores for questions, so that answers do not wait long."""
Vectors = NDArray[np.float32]


class _Reached(Exception):  # noqa: N818 - no error: it ends a forward pass early
    """The wanted layer has been computed."""


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
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
        states = [self._engine.borrow(self._reading([texts[index] for index in batch])) for batch in batches]
        result = np.empty_like(np.concatenate(states))
        result[order] = np.concatenate(states)
        return result

    def _reading(self, texts: Sequence[str]) -> Callable[[Any, Any, Callable[[str | None], None]], Vectors]:
        def read(model: Any, tokenizer: Any, route: Callable[[str | None], None]) -> Vectors:
            route(None)
            return mean_states(model, tokenizer, Encoder(tokenizer, self._system_prompt).prefix(), texts)

        return read


def whiten(states: Vectors) -> tuple[Vectors, Vectors]:
    """Return the mean of the states (texts, width), and what decorrelates them, as (width, width)."""
    mean = states.mean(axis=0)
    covariance = np.cov(states.T)
    covariance += SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    values, directions = np.linalg.eigh(covariance)
    return mean, (directions / np.sqrt(values)).astype(np.float32)


def mean_states(model: Any, tokenizer: Any, prefix: Sequence[int], texts: Sequence[str]) -> Vectors:
    """Return the mean state of each text's own tokens, read behind `prefix` in one batch, as (texts, width)."""
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] or [tokenizer.eos_token_id] for text in texts]
    width = max(map(len, rows))
    tokens = torch.tensor([[*prefix, *row, *[row[-1]] * (width - len(row))] for row in rows], device=model.device)
    own = torch.tensor([[1.0] * len(row) + [0.0] * (width - len(row)) for row in rows], device=model.device)
    states = _early_states(model, tokens)[:, len(prefix) :].float()
    means: Tensor = (states * own[:, :, None]).sum(dim=1) / own.sum(dim=1, keepdim=True)
    vectors: Vectors = means.cpu().numpy()
    return vectors


def _early_states(model: Any, tokens: Tensor) -> Tensor:
    """Return what the early layer gives for `tokens` (rows, length), as (rows, length, width)."""
    decoder = model.get_decoder()
    depth = max(1, round(model.config.get_text_config().num_hidden_layers * DEPTH))
    layers = getattr(decoder, "layers", None)
    if layers is None:  # an architecture that names them otherwise: its later layers are computed in vain
        states: Tensor = decoder(input_ids=tokens, use_cache=False, output_hidden_states=True).hidden_states[depth]
        return states
    reached: list[Tensor] = []

    def stop(_module: Any, _inputs: Any, output: Any) -> None:
        reached.append(output[0] if isinstance(output, tuple) else output)
        raise _Reached

    hook = layers[depth - 1].register_forward_hook(stop)
    with hook, suppress(_Reached):
        decoder(input_ids=tokens, use_cache=False)
    return reached[0]
