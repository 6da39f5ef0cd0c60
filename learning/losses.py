"""The loss of one packed step: what is learned, what is to stay, what is preferred, and what people liked or not.

Each part is TRL's, computed on packed rows; tests hold them against TRL's own trainers.
"""

import math
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
    `distilled`: which share of the loss on facts is their divergence from the teacher, in the form `divergence` (0
    forward to 1 reverse) and at `temperature`.
    `replay`: the divergence from the base model on replayed rows. `pairs`: preference pairs, at temperature `beta` and
    `smoothing`, the share of pairs that are taken to be the wrong way round; `chosen`: the likelihood of their chosen
    side. `thumbs`: likes and dislikes, at `beta`, which count `liked` and `disliked`.
    """

    learned: float = 1.0
    first: float = 1.0
    distilled: float = 0.0
    divergence: float = 0.0
    temperature: float = 1.0
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
    if weights.distilled:
        parts.append(_distilled(logits, owners[scored], roles[scored], inputs, weights))
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
    """Mean token loss, the first tokens of each answer weighted; what is distilled takes its share of it."""
    learned = roles == _code("learned")
    if not bool(learned.any()):
        return None
    return weights.learned * (1 - weights.distilled) * _mean_by_place(losses[learned], owners[learned], weights.first)


def _distilled(
    logits: Tensor, owners: Tensor, roles: Tensor, inputs: dict[str, Tensor], weights: LossWeights
) -> Tensor | None:
    """Mean divergence from the teacher (SDFT, arXiv 2601.19897), on corrected answers and on the student's own.

    Of the teacher `inputs` hold, for each of these tokens in their order, the ids of its likeliest tokens
    `taught_ids` (tokens, k) and their log-probabilities, those of `buckets`, `taught_logprobs` (tokens, k + 1).
    """
    taught = (roles == _code("learned")) | (roles == _code("sampled"))
    if not bool(taught.any()):
        return None
    student = buckets(logits[taught] / weights.temperature, inputs["taught_ids"])
    divergences = divergence(student, inputs["taught_logprobs"], weights.divergence)
    return weights.distilled * _mean_by_place(divergences, owners[taught], weights.first)


def buckets(logits: Tensor, ids: Tensor) -> Tensor:
    """Return the log-probabilities (tokens, k + 1) of the tokens `ids` (tokens, k), and of all others together."""
    whole = logits.logsumexp(dim=-1, keepdim=True)
    # Of the others themselves: one minus the sum of the named would leave few digits where those have nearly all.
    others = logits.scatter(1, ids, -torch.inf).logsumexp(dim=-1, keepdim=True)
    return torch.cat([logits.gather(1, ids), others], dim=-1) - whole


def divergence(student: Tensor, teacher: Tensor, mixed: float) -> Tensor:
    """Return a token's divergence (tokens,), in nats, between log-probabilities (tokens, buckets).

    `mixed` 0 is KL(teacher || student), 1 is KL(student || teacher); between, it is what Jensen-Shannon generalises to
    when the mixture has so much of the teacher (GKD, arXiv 2306.13649, and the `distillation_alpha` of TRL).
    """
    if mixed == 0:
        return _kl(teacher, student)
    if mixed == 1:
        return _kl(student, teacher)
    mixture = torch.logaddexp(student + math.log1p(-mixed), teacher + math.log(mixed))
    return mixed * _kl(teacher, mixture) + (1 - mixed) * _kl(student, mixture)


def _kl(one: Tensor, other: Tensor) -> Tensor:
    return kl_div(other, one, reduction="none", log_target=True).sum(dim=-1)


def _mean_by_place(values: Tensor, owners: Tensor, first: float) -> Tensor:
    """Return the mean over tokens, the first FIRST_TOKENS of each row weighted."""
    shares = torch.where(_place_in_row(owners) < FIRST_TOKENS, first, 1.0)
    return (values * shares).sum() / shares.sum()


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
