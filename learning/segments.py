"""One forward pass for batches of different lengths: a token of each running answer, and a part of prompts that wait.

A pass over few tokens takes as long as reading the weights does, so one for both takes little longer than either. All
layers but attention look at each token by itself: the tokens of all are laid end to end in one row, and attention takes
them apart again, each segment with its own cache and mask. The idea is that of SARATHI (arXiv 2308.16369).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.cache_utils import Cache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from learning.rows import make_cache

ATTENTION: Final = "segments"
"""The name that our attention has in transformers."""
TRIED = (((5, 7),), ((6, 8, 9),))
"""Tokens of two segments that are read together and apart to see whether a model can do it."""


@dataclass(frozen=True)
class Segment:
    """Tokens (rows, new) that go into a cache.

    `mask`: (rows, length), 1 where a position of the cache holds a token, the new ones behind those that it has.
    """

    tokens: Tensor
    mask: Tensor
    cache: Cache

    @cached_property
    def positions(self) -> Tensor:
        """The place of each token in its row, padding not counted, as (rows, new)."""
        return (self.mask.cumsum(dim=1) - 1).clamp(min=0)[:, -self.tokens.shape[1] :]

    @cached_property
    def attended(self) -> Tensor | None:
        """Whether each new token looks at each position, as (rows, 1, new, length); None where all look at all."""
        new, length = self.tokens.shape[1], self.mask.shape[1]
        if new == 1 and bool(self.mask.all()):
            return None
        places = torch.arange(length, device=self.mask.device)
        return self.mask.bool()[:, None, None] & (places <= places[-new:, None])


def can_mix(model: Any) -> bool:
    """Prepare a model that attends through PyTorch's `sdpa`; return whether it reads several segments in one pass.

    It does where every layer attends to all positions through transformers' interface. That is tried, as a model may
    leave out what it is given.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if config._attn_implementation != "sdpa" or kinds != {"full_attention"} or getattr(config, "sliding_window", None):  # noqa: SLF001 - where transformers keeps it
        return False
    AttentionInterface.register(ATTENTION, _attend)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)
    try:
        model.set_attn_implementation(ATTENTION)
        together = forward(model, [_tried(model, tokens) for tokens in TRIED])
        apart = [forward(model, [_tried(model, tokens)])[0] for tokens in TRIED]
        alike = all(torch.allclose(*pair, rtol=0.05, atol=0.05) for pair in zip(together, apart, strict=True))
    except (ValueError, TypeError, RuntimeError):
        alike = False
    if not alike:
        model.set_attn_implementation("sdpa")
    return alike


def forward(model: Any, segments: Sequence[Segment]) -> list[Tensor]:
    """Read all segments in one pass; return for each the logits (rows, vocabulary) after its last tokens.

    Several take a model that `can_mix`.
    """
    if len(segments) == 1:
        return [_forward_one(model, segments[0])]
    rows = [segment.tokens.shape[0] for segment in segments]
    ends = torch.cat([_last_places(segment) for segment in segments])
    starts = torch.tensor([0, *(segment.tokens.numel() for segment in segments[:-1])]).cumsum(dim=0)
    ends = ends + starts.repeat_interleave(torch.tensor(rows)).to(ends.device)
    tokens = torch.cat([segment.tokens.flatten() for segment in segments])[None]
    output = model(
        input_ids=tokens,
        attention_mask=tokens.new_ones(1, 1, 1, 1),  # four dimensions: transformers makes no mask of its own
        position_ids=torch.cat([segment.positions.flatten() for segment in segments])[None],
        use_cache=False,
        logits_to_keep=ends,
        segments=segments,
    )
    return list(output.logits[0].split(rows))


def _forward_one(model: Any, segment: Segment) -> Tensor:
    output = model(
        input_ids=segment.tokens,
        attention_mask=segment.mask,
        position_ids=segment.positions,
        past_key_values=segment.cache,
        use_cache=True,
        logits_to_keep=1,
    )
    logits: Tensor = output.logits[:, -1]
    return logits


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    segments: Sequence[Segment] | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend as `sdpa` does; of several segments, (1, heads, all tokens, head size) each, each within itself."""
    if segments is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    outputs, end = [], 0
    for segment in segments:
        start, end = end, end + segment.tokens.numel()
        own = [
            states[0, :, start:end].unflatten(1, segment.tokens.shape).transpose(0, 1) for states in (query, key, value)
        ]
        keys, values = segment.cache.update(own[1], own[2], module.layer_idx)
        output, _ = sdpa_attention_forward(module, own[0], keys, values, segment.attended, **options, is_causal=False)
        outputs.append(output.flatten(0, 1))
    return torch.cat(outputs)[None], None


def _last_places(segment: Segment) -> Tensor:
    """Return the place of each row's last token in the segment laid end to end."""
    rows, new = segment.tokens.shape
    return torch.arange(1, rows + 1, device=segment.tokens.device) * new - 1


def _tried(model: Any, tokens: Sequence[Sequence[int]]) -> Segment:
    rows = torch.tensor(tokens, device=model.device)
    return Segment(rows, torch.ones_like(rows), make_cache(model.config.get_text_config().num_hidden_layers))
