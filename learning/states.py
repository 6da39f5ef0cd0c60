"""What early layers of a base model make of a text, before they are about the next word: the mean of its states."""

import itertools
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BATCH = 24
"""Texts of one forward pass: under a third of a second on two cores for questions, so that answers do not wait long."""
Vectors = NDArray[np.float32]


class _Reached(Exception):  # noqa: N818 - no error: it ends a forward pass early
    """The last wanted layer has been computed."""


def mean_states_of(
    model: Any, tokenizer: Any, prefix: Sequence[int], texts: Sequence[str], depths: Sequence[float]
) -> Vectors:
    """Return `mean_states` of any number of texts, read BATCH at a time, those of like length together."""
    read = [mean_states(model, tokenizer, prefix, [texts[at] for at in batch], depths) for batch in batches(texts)]
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


def mean_states(
    model: Any, tokenizer: Any, prefix: Sequence[int], texts: Sequence[str], depths: Sequence[float]
) -> Vectors:
    """Return the mean states of each text's own tokens, read behind `prefix` in one batch.

    `depths` are shares of the model's layers, in rising order. Returns (texts, depths * the model's width).
    """
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] or [tokenizer.eos_token_id] for text in texts]
    width = max(map(len, rows))
    tokens = torch.tensor([[*prefix, *row, *[row[-1]] * (width - len(row))] for row in rows], device=model.device)
    own = torch.tensor([[1.0] * len(row) + [0.0] * (width - len(row)) for row in rows], device=model.device)
    layers = model.config.get_text_config().num_hidden_layers
    means: list[Tensor] = []
    for states in _states(model, tokens, [max(1, round(layers * depth)) for depth in depths]):
        read = states[:, len(prefix) :].float()
        means.append((read * own[:, :, None]).sum(dim=1) / own.sum(dim=1, keepdim=True))
    vectors: Vectors = torch.cat(means, dim=1).cpu().numpy()
    return vectors


def _states(model: Any, tokens: Tensor, wanted: Sequence[int]) -> list[Tensor]:
    """Return what each wanted layer, counted from 1, gives for `tokens` (rows, length), as (rows, length, width)."""
    decoder = model.get_decoder()
    layers = getattr(decoder, "layers", None)
    if layers is None:  # an architecture that names them otherwise: its later layers are computed in vain
        states = decoder(input_ids=tokens, use_cache=False, output_hidden_states=True).hidden_states
        return [states[depth] for depth in wanted]
    reached: dict[int, Tensor] = {}

    def keep(depth: int, output: Any) -> None:
        reached[depth] = output[0] if isinstance(output, tuple) else output
        if depth == wanted[-1]:
            raise _Reached

    with ExitStack() as hooks:
        for depth in set(wanted):
            hook = layers[depth - 1].register_forward_hook(lambda _m, _i, output, depth=depth: keep(depth, output))
            hooks.enter_context(hook)
        hooks.enter_context(suppress(_Reached))
        decoder(input_ids=tokens, use_cache=False)
    return [reached[depth] for depth in wanted]
