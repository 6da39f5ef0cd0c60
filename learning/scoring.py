"""How likely a model finds given answers, and how far an adapter has moved it: forward passes, nothing is generated.

The answers of one pass are packed behind one copy of the prompt's beginning, as in training (see learning/packing.py).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from learning.encoding import Encoder
from learning.packing import IGNORED, TokenRow, collate, packed_hidden, packed_step
from learning.prompts import Exchange

PACK_TOKENS = 512
"""Tokens of one forward pass: enough to keep a CPU's cores busy, and less than a second for whoever waits meanwhile."""

Switch = Callable[[bool], None]
"""Switches the adapter on or off for the passes that follow."""


def log_likelihoods(model: Any, encoder: Encoder, exchanges: Sequence[Exchange]) -> list[float]:
    """Return the mean natural log-probability a token of each exchange's answer, its end token included."""
    scores: list[float] = []
    for step in _packs(encoder, exchanges):
        logprobs, targets, owners = _score(model, step)
        chosen = logprobs.gather(1, targets[:, None])[:, 0]
        scores += _means(chosen, owners)
    return scores


def divergences(model: Any, encoder: Encoder, exchanges: Sequence[Exchange], switch: Switch) -> list[float]:
    """Return the mean KL(base || adapter) over each exchange's answer, in nats a token; 0 where nothing changed."""
    scores: list[float] = []
    for step in _packs(encoder, exchanges):
        switch(False)
        base, _, owners = _score(model, step)
        switch(True)
        adapted, _, _ = _score(model, step)
        scores += _means((base.exp() * (base - adapted)).sum(dim=-1), owners)
    return scores


def _packs(encoder: Encoder, exchanges: Sequence[Exchange]) -> Iterator[dict[str, Tensor]]:
    """Lay the exchanges, in their order, into as few passes of about PACK_TOKENS as it takes."""
    prefix = encoder.prefix()
    pack: list[TokenRow] = []
    for exchange in exchanges:
        row = encoder.row(exchange["question"], exchange["answer"])
        if pack and len(prefix) + sum(map(len, [*pack, row])) > PACK_TOKENS:
            yield collate([packed_step(prefix, pack)])
            pack = []
        pack.append(row)
    if pack:
        yield collate([packed_step(prefix, pack)])


def _score(model: Any, step: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Return the log-probabilities (answer tokens, vocabulary), the answers' tokens, and each one's row from 1 on."""
    inputs = {name: tensor.to(model.device) for name, tensor in step.items()}
    hidden = packed_hidden(model, inputs, torch.ones_like(inputs["rows"], dtype=torch.bool))
    targets = inputs["labels"][0, 1:]
    kept = targets != IGNORED
    logits = model.get_output_embeddings()(hidden[kept]).float()
    return torch.log_softmax(logits, dim=-1), targets[kept], inputs["rows"][1:][kept]


def _means(values: Tensor, owners: Tensor) -> list[float]:
    return [float(values[owners == owner].mean()) for owner in owners.unique(sorted=True)]
