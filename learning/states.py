"""The base model's states in an early layer, averaged over a text's tokens, and what makes them comparable.

The states of a plain language model all point the same way, which hides what tells texts apart; decorrelating them over
texts of all kinds (whitening; Su et al. 2021, arXiv 2103.15316) makes their cosine a measure of meaning. An early layer
is better than a late one, which is about the next word, and cheaper. docs/benchmarks.md has the measurements.
"""

import itertools
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

DEPTH = 0.27
"""Which share of the model's layers a text passes through; the 8th of 30 was the built-in model's best."""
SHRINKAGE = 0.3
"""How much of the mean variance is added to each direction before whitening, as the texts are fewer than directions."""
BATCH = 24
"""Texts of one forward pass: under a third of a second on two cores for questions, so that answers do not wait long."""
Vectors = NDArray[np.float32]


class _Reached(Exception):  # noqa: N818 - no error: it ends a forward pass early
    """The wanted layer has been computed."""


def whiten(states: Vectors) -> tuple[Vectors, Vectors]:
    """Return the mean of the states (texts, width), and what decorrelates them, as (width, width)."""
    mean = states.mean(axis=0)
    covariance = np.cov(states.T)
    covariance += SHRINKAGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    values, directions = np.linalg.eigh(covariance)
    return mean, (directions / np.sqrt(values)).astype(np.float32)


def mean_states_of(model: Any, tokenizer: Any, prefix: Sequence[int], texts: Sequence[str]) -> Vectors:
    """Return `mean_states` of any number of texts, read BATCH at a time, those of like length together."""
    read = [mean_states(model, tokenizer, prefix, [texts[at] for at in batch]) for batch in batches(texts)]
    return in_order(read, texts)


def batches(texts: Sequence[str]) -> list[list[int]]:
    """Return the texts' places, the shorter ones first, BATCH by BATCH."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]


def in_order(states: Sequence[Vectors], texts: Sequence[str]) -> Vectors:
    """Bring what was read in `batches` back into the order of the texts."""
    result = np.empty_like(np.concatenate(states))
    result[list(itertools.chain.from_iterable(batches(texts)))] = np.concatenate(states)
    return result


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
