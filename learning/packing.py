"""Training steps as single packed sequences: the rows of a step share one copy of the prefix, nothing is padded.

A step of 14 short rows is one sequence of about 430 tokens where padded rows would be 14 x 60; the attention mask keeps
the rows apart, and the positions of each row go on from the prefix.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

IGNORED = -100
"""The label of tokens that carry no loss (PyTorch's `ignore_index`)."""


@dataclass(frozen=True)
class TokenRow:
    """Token ids of one exchange after the shared prefix; only `completion` carries loss, times `weight`."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    weight: float


def packed_step(prefix: Sequence[int], rows: Sequence[TokenRow]) -> dict[str, list[Any]]:
    """Lay the rows behind the prefix.

    Returns:
        Lists of one length T: `input_ids`, `position_ids`, `labels` (IGNORED outside completions), `rows` (0 for the
        prefix, then 1, 2, ... by row) and `weights`: each token's share in the loss, so that every row of equal
        weight counts the same per token as the mean over its group would.

    """
    ids, positions, labels, owners = list(prefix), list(range(len(prefix))), [IGNORED] * len(prefix), [0] * len(prefix)
    weights = [0.0] * len(prefix)
    totals = _tokens_by_weight(rows)
    for number, row in enumerate(rows, 1):
        length = len(row.prompt) + len(row.completion)
        ids += [*row.prompt, *row.completion]
        positions += range(len(prefix), len(prefix) + length)
        labels += [IGNORED] * len(row.prompt) + list(row.completion)
        owners += [number] * length
        weights += [0.0] * len(row.prompt) + [row.weight / totals[row.weight]] * len(row.completion)
    return {"input_ids": ids, "position_ids": positions, "labels": labels, "rows": owners, "weights": weights}


def _tokens_by_weight(rows: Sequence[TokenRow]) -> dict[float, int]:
    totals: dict[float, int] = {}
    for row in rows:
        totals[row.weight] = totals.get(row.weight, 0) + len(row.completion)
    return totals


def collate(steps: Sequence[dict[str, list[Any]]]) -> dict[str, torch.Tensor]:
    """Make the tensors of one step: shapes (1, T), and the mask (1, 1, T, T), true where a token may look."""
    (step,) = steps
    owners = torch.tensor(step["rows"])
    causal = torch.ones(len(owners), len(owners), dtype=torch.bool).tril()
    mask = causal & ((owners[:, None] == owners[None, :]) | (owners[None, :] == 0))
    return {
        "input_ids": torch.tensor([step["input_ids"]]),
        "position_ids": torch.tensor([step["position_ids"]]),
        "attention_mask": mask[None, None],
        "labels": torch.tensor([step["labels"]]),
        "weights": torch.tensor([step["weights"]], dtype=torch.float32),
    }


def completion_loss(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the weighted sum of token losses; the vocabulary-wide product is taken at completion tokens only."""
    targets, weights = inputs["labels"][0, 1:], inputs["weights"][0, 1:]
    body, head = _body_and_head(model)
    hidden = body(
        input_ids=inputs["input_ids"],
        position_ids=inputs["position_ids"],
        attention_mask=inputs["attention_mask"],
        use_cache=False,
    ).last_hidden_state[0, :-1]
    kept = targets != IGNORED
    losses = torch.nn.functional.cross_entropy(head(hidden[kept]).float(), targets[kept], reduction="none")
    return (losses * weights[kept]).sum()


def _body_and_head(model: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    return causal.get_decoder() if hasattr(causal, "get_decoder") else causal.model, causal.get_output_embeddings()
