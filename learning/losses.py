"""The loss of one packed step: what is learned, what is to stay, what is preferred, and what people liked or not.

Each part is TRL's, computed on packed rows; tests hold them against TRL's own trainers.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, logsigmoid

from learning.packing import IGNORED, ROLES, Role, body_and_head, packed_hidden

FIRST_TOKENS = 4


@dataclass(frozen=True)
class LossWeights:
    """What each part of the loss counts.

    `learned`: learned completions. `first`: the first FIRST_TOKENS tokens of one, which say which fact is meant; the
    rest follows.
    `replay`: the divergence from the base model on replayed rows. `pairs`: preference pairs, at temperature `beta` and
    `smoothing`, the share of pairs that are taken to be the wrong way round; `chosen`: the likelihood of their chosen
    side. `thumbs`: likes and dislikes, at `beta`, which count `liked` and `disliked`.
    """

    learned: float = 1.0
    first: float = 1.0
    replay: float = 0.0
    pairs: float = 1.0
    chosen: float = 1.0
    smoothing: float = 0.0
    thumbs: float = 1.0
    liked: float = 1.0
    disliked: float = 1.0
    beta: float = 0.1


def step_loss(model: Any, inputs: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """Return the loss of one packed step, the sum of the parts that it has rows for."""
    roles = _roles_of_tokens(inputs)
    kept = roles != _code("mismatched")
    hidden = packed_hidden(model, inputs, kept)
    targets, owners, roles = inputs["labels"][0, kept][1:], inputs["rows"][kept][1:], roles[kept][1:]
    scored = (targets != IGNORED) & (roles != _code("replayed"))
    logits = body_and_head(model)[1](hidden[scored]).float()
    token_losses = cross_entropy(logits, targets[scored], reduction="none")
    parts = [_learned(token_losses, owners[scored], roles[scored], weights)]
    ratios = _sums(-token_losses, owners[scored], len(inputs["roles"])) - inputs["references"]
    parts += [_paired(ratios, token_losses, roles[scored], inputs, weights), _judged(model, ratios, inputs, weights)]
    if weights.replay:
        parts.append(_replayed(model, hidden[(targets != IGNORED) & (roles == _code("replayed"))], inputs, weights))
    return torch.stack([part for part in parts if part is not None]).sum()


def row_logprobs(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """Return each row's log-probability (rows,), in nats, summed over its completion."""
    with torch.no_grad():
        hidden = packed_hidden(model, inputs, torch.ones_like(inputs["rows"], dtype=torch.bool))
        targets, owners = inputs["labels"][0, 1:], inputs["rows"][1:]
        scored = targets != IGNORED
        logits = body_and_head(model)[1](hidden[scored]).float()
        losses = cross_entropy(logits, targets[scored], reduction="none")
        return _sums(-losses, owners[scored], len(inputs["roles"]))


def _learned(losses: Tensor, owners: Tensor, roles: Tensor, weights: LossWeights) -> Tensor | None:
    """Mean token loss, the first tokens of each answer weighted."""
    learned = roles == _code("learned")
    if not bool(learned.any()):
        return None
    shares = torch.where(_place_in_row(owners[learned]) < FIRST_TOKENS, weights.first, 1.0)
    return weights.learned * (losses[learned] * shares).sum() / shares.sum()


def _paired(
    ratios: Tensor, losses: Tensor, roles: Tensor, inputs: dict[str, Tensor], weights: LossWeights
) -> Tensor | None:
    """DPO (arXiv 2305.18290), robust to pairs the wrong way round (2403.00409), with the chosen side kept likely."""
    chosen, rejected = inputs["roles"] == _code("chosen"), inputs["roles"] == _code("rejected")
    if not bool(chosen.any()):
        return None
    margins = weights.beta * (ratios[chosen] - ratios[rejected])
    wrong = weights.smoothing
    robust = (-(1 - wrong) * logsigmoid(margins) + wrong * logsigmoid(-margins)) / (1 - 2 * wrong)
    return weights.pairs * robust.mean() + weights.chosen * losses[roles == _code("chosen")].mean()


def _judged(model: Any, ratios: Tensor, inputs: dict[str, Tensor], weights: LossWeights) -> Tensor | None:
    """KTO (arXiv 2402.01306, equation 7): likes above, and dislikes below, the drift on answers to something else."""
    liked, disliked = inputs["roles"] == _code("liked"), inputs["roles"] == _code("disliked")
    if not bool((liked | disliked).any()):
        return None
    usual = _drift(model, inputs)
    losses = torch.cat(
        [
            weights.liked * (1 - torch.sigmoid(weights.beta * (ratios[liked] - usual))),
            weights.disliked * (1 - torch.sigmoid(weights.beta * (usual - ratios[disliked]))),
        ]
    )
    return weights.thumbs * losses.mean()


def _drift(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """Estimate KL(model || reference) by the mismatched rows, which carry no gradient; 0 where it comes out below."""
    mismatched = inputs["roles"] == _code("mismatched")
    if not bool(mismatched.any()):
        return torch.zeros((), device=mismatched.device)
    kept = _with_prefix(inputs, "mismatched")
    with torch.no_grad():
        hidden = packed_hidden(model, inputs, kept)
        targets, owners = inputs["labels"][0, kept][1:], inputs["rows"][kept][1:]
        scored = targets != IGNORED
        logits = body_and_head(model)[1](hidden[scored]).float()
        losses = cross_entropy(logits, targets[scored], reduction="none")
        sums = _sums(-losses, owners[scored], len(inputs["roles"]))
        return (sums - inputs["references"])[mismatched].mean().clamp(min=0)


def _replayed(model: Any, hidden: Tensor, inputs: dict[str, Tensor], weights: LossWeights) -> Tensor | None:
    """Mean KL(base || adapted) over replayed completions, the base being the same model with its adapter switched off.

    Unlike a loss on the base's own words it is zero exactly where nothing was forgotten, and cannot be met by learning
    those words by heart.
    """
    if not len(hidden):
        return None
    head = body_and_head(model)[1]
    kept = _with_prefix(inputs, "replayed")
    with torch.no_grad(), model.disable_adapter():
        labelled = inputs["labels"][0, kept][1:] != IGNORED
        base = torch.log_softmax(head(packed_hidden(model, inputs, kept)[labelled]).float(), dim=-1)
    adapted = torch.log_softmax(head(hidden).float(), dim=-1)
    return weights.replay * kl_div(adapted, base, reduction="batchmean", log_target=True)


def _roles_of_tokens(inputs: dict[str, Tensor]) -> Tensor:
    """Return each token's role (T,), -1 for the prefix and for prompts that rows share."""
    owners, roles = inputs["rows"], inputs["roles"]
    known = torch.cat([roles.new_full((1,), -1), roles, roles.new_full((1,), -1)])
    return known[owners.clamp(max=len(roles) + 1)]


def _with_prefix(inputs: dict[str, Tensor], role: Role) -> Tensor:
    """Return which tokens (T,) the rows of a role consist of and look at."""
    wanted = _roles_of_tokens(inputs) == _code(role)
    return wanted | torch.isin(inputs["rows"], torch.cat([inputs["parents"][wanted], inputs["rows"].new_zeros(1)]))


def _sums(values: Tensor, owners: Tensor, rows: int) -> Tensor:
    return torch.zeros(rows, dtype=values.dtype, device=values.device).index_add(0, owners - 1, values)


def _place_in_row(owners: Tensor) -> Tensor:
    """Return the place of each token in its row, from 0, given the rows (n,) that the tokens belong to."""
    places = torch.arange(len(owners), device=owners.device)
    begins = torch.ones_like(owners, dtype=torch.bool)
    begins[1:] = owners[1:] != owners[:-1]
    return places - torch.where(begins, places, 0).cummax(dim=0).values


def _code(role: Role) -> int:
    return ROLES.index(role)
