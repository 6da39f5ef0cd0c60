"""Training steps as single packed sequences: the rows of a step share one copy of the prefix, nothing is padded.

A step of 14 short rows is one sequence of about 430 tokens where padded rows would be 14 x 60; the attention mask keeps
the rows apart, and the positions of each row go on from the prefix.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy, kl_div

IGNORED = -100
"""The label of tokens that carry no loss (PyTorch's `ignore_index`)."""
FIRST_TOKENS = 4


@dataclass(frozen=True)
class TokenRow:
    """Token ids of one exchange after the shared prefix; only `completion` carries loss.

    A replayed row is held to the base model's distribution, the others are learned.
    """

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    replayed: bool = False


def packed_step(prefix: Sequence[int], rows: Sequence[TokenRow]) -> dict[str, list[Any]]:
    """Lay the rows behind the prefix, the replayed ones last.

    Returns:
        Lists of one length T: `input_ids`, `position_ids`, `labels` (IGNORED outside completions), `rows` (0 for the
        prefix, then 1, 2, ... by row, negative for replayed rows).

    """
    ids, positions, labels, owners = list(prefix), list(range(len(prefix))), [IGNORED] * len(prefix), [0] * len(prefix)
    for number, row in enumerate(sorted(rows, key=lambda row: row.replayed), 1):
        length = len(row.prompt) + len(row.completion)
        ids += [*row.prompt, *row.completion]
        positions += range(len(prefix), len(prefix) + length)
        labels += [IGNORED] * len(row.prompt) + list(row.completion)
        owners += [-number if row.replayed else number] * length
    return {"input_ids": ids, "position_ids": positions, "labels": labels, "rows": owners}


def collate(steps: Sequence[dict[str, list[Any]]]) -> dict[str, torch.Tensor]:
    """Make the tensors of one step: shapes (1, T), and `rows` (T,)."""
    (step,) = steps
    return {
        "input_ids": torch.tensor([step["input_ids"]]),
        "position_ids": torch.tensor([step["position_ids"]]),
        "labels": torch.tensor([step["labels"]]),
        "rows": torch.tensor(step["rows"]),
    }


def packed_loss(
    model: Any, inputs: dict[str, torch.Tensor], replay_weight: float, first_weight: float = 1.0
) -> torch.Tensor:
    """Return the mean token loss on what is to be learned, plus `replay_weight` times the divergence on what is not.

    The first FIRST_TOKENS tokens of a learned completion count `first_weight` times: they say which fact is meant, the
    rest follows from them.

    The divergence is the mean over the replayed rows' completion tokens of KL(base || adapted), the base model being
    the same model with its adapter switched off: unlike a loss on the base's own words, it is zero exactly where
    nothing was forgotten, and cannot be met by learning those words by heart.
    """
    targets, owners = inputs["labels"][0, 1:], inputs["rows"]
    body, head = _body_and_head(model)
    hidden = _hidden(body, inputs, torch.ones_like(owners, dtype=torch.bool))
    learned, replayed = (targets != IGNORED) & (owners[1:] > 0), (targets != IGNORED) & (owners[1:] < 0)
    losses = cross_entropy(head(hidden[learned]).float(), targets[learned], reduction="none")
    weights = torch.where(_place_in_row(owners[1:][learned]) < FIRST_TOKENS, first_weight, 1.0)
    loss = (losses * weights).sum() / weights.sum()
    if not replay_weight or not bool(replayed.any()):
        return loss
    seen = owners <= 0
    with torch.no_grad(), model.disable_adapter():
        base = torch.log_softmax(head(_hidden(body, inputs, seen)[replayed[seen[1:]]]).float(), dim=-1)
    adapted = torch.log_softmax(head(hidden[replayed]).float(), dim=-1)
    return loss + replay_weight * kl_div(adapted, base, reduction="batchmean", log_target=True)


def _place_in_row(owners: torch.Tensor) -> torch.Tensor:
    """Return the place of each token in its row, from 0, given the rows (n,) that the tokens belong to."""
    places = torch.arange(len(owners), device=owners.device)
    begins = torch.ones_like(owners, dtype=torch.bool)
    begins[1:] = owners[1:] != owners[:-1]
    return places - torch.where(begins, places, 0).cummax(dim=0).values


def _hidden(body: Callable[..., Any], inputs: dict[str, torch.Tensor], kept: torch.Tensor) -> torch.Tensor:
    """Return the last hidden states (kept positions but the last, width) of the packed rows at the kept positions."""
    output = body(
        input_ids=inputs["input_ids"][:, kept],
        position_ids=inputs["position_ids"][:, kept],
        attention_mask=row_mask(inputs["rows"][kept]),
        use_cache=False,
    )
    hidden: torch.Tensor = output.last_hidden_state[0, :-1]
    return hidden


def row_mask(owners: torch.Tensor) -> torch.Tensor:
    """Return the mask (1, 1, T, T), true where a token may look: at its own row and the prefix, not ahead."""
    causal = torch.ones(len(owners), len(owners), dtype=torch.bool, device=owners.device).tril()
    return (causal & ((owners[:, None] == owners[None, :]) | (owners[None, :] == 0)))[None, None]


def _body_and_head(model: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    return causal.get_decoder() if hasattr(causal, "get_decoder") else causal.model, causal.get_output_embeddings()
