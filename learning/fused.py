"""Training on a CPU without what PEFT and scaled-dot-product attention cost there beside their matrix products.

A LoRA layer is one operation forward and one backward, in the base model's dtype: PEFT casts the input to float32 and
back, and keeps every product in between for the backward pass. Attention over a short packed sequence is plain
products: PyTorch's fused kernel works in tiles that such a sequence does not fill. docs/benchmarks.md has the figures.
"""

from typing import Any

import torch
from peft.tuners.lora import Linear
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import repeat_kv, sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

SHORT_ATTENTION = "short_sequence"
"""The name under which transformers knows the attention for short packed sequences."""
SHORT = 768
"""Tokens up to which a sequence is short; beyond, its scores take more memory than the fused kernel saves time."""


class LoraProduct(torch.autograd.Function):
    """`x W^T + (x A^T) B^T`, where only A and B learn."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, down: Tensor, up: Tensor) -> Tensor:
        """Map x (rows, in), with weight (out, in), down = A (rank, in) and up = B (out, rank), to (rows, out)."""
        inner = x @ down.T
        ctx.save_for_backward(x, weight, down, up, inner)
        return (x @ weight.T).addmm_(inner, up.T)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, Tensor, Tensor]:
        """Return the gradients of x, of A and of B."""
        (outer,) = gradients
        x, weight, down, up, inner = ctx.saved_tensors
        back = outer @ up
        of_input = (outer @ weight).addmm_(back, down) if ctx.needs_input_grad[0] else None
        return of_input, None, back.T @ x, outer.T @ inner


class FusedLinear(Linear):
    """PEFT's LoRA layer with one plain adapter, computed at once where the input is of the base model's dtype."""

    def forward(self, x: Tensor, *arguments: Any, **more: Any) -> Tensor:
        """Map (..., in) to (..., out)."""
        base = self.base_layer
        if arguments or more or self.disable_adapters or self.merged or x.dtype != base.weight.dtype:
            return super().forward(x, *arguments, **more)
        (name,) = self.active_adapters
        down = self.lora_A[name].weight.to(x.dtype)
        up = (self.lora_B[name].weight * self.scaling[name]).to(x.dtype)
        outputs = LoraProduct.apply(x.flatten(0, -2), base.weight, down, up)
        return outputs.view(*x.shape[:-1], -1)


class ShortAttention(torch.autograd.Function):
    """Softmax attention that keeps no scores: the backward pass computes them again (as arXiv 2205.14135 does)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
        """Map three tensors (heads, T, width), with a mask (T, T) that is true where a token may look, to one."""
        ctx.save_for_backward(query, key, value, mask)
        ctx.scale = scale
        return _shares(query, key, mask, scale) @ value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Return the gradients of query, key and value."""
        (outer,) = gradients
        query, key, value, mask = ctx.saved_tensors
        shares = _shares(query, key, mask, ctx.scale)
        of_shares = outer @ value.transpose(-1, -2)
        of_scores = torch._softmax_backward_data(of_shares, shares, -1, shares.dtype) * ctx.scale  # noqa: SLF001 - what autograd itself calls
        return of_scores @ key, of_scores.transpose(-1, -2) @ query, shares.transpose(-1, -2) @ outer, None, None


def fuse(model: Any) -> None:
    """Let the plain LoRA layers of a PEFT model compute at once; parameters and what is saved stay as they are."""
    for module in model.modules():
        if type(module) is Linear and _is_plain(module):
            module.__class__ = FusedLinear


def _is_plain(layer: Linear) -> bool:
    """Whether the layer is nothing but a product without bias and one adapter without dropout or variant."""
    biases = [layer.base_layer.bias, *(up.bias for up in layer.lora_B.values())]
    dropouts = [each for each in layer.lora_dropout.values() if not isinstance(each, torch.nn.Identity)]
    return len(layer.lora_A) == 1 and not layer.lora_variant and not dropouts and all(bias is None for bias in biases)


def use_short_attention(model: Any) -> None:
    """Let the model attend by plain products where its sequence is short and comes with a mask."""
    AttentionInterface.register(SHORT_ATTENTION, _attend)
    AttentionMaskInterface.register(SHORT_ATTENTION, sdpa_mask)
    model.set_attn_implementation(SHORT_ATTENTION)


def _attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **more: Any
) -> tuple[Tensor, None]:
    """Do as `sdpa_attention_forward` does; tensors are (1, heads, T, width), the result (1, T, heads, width)."""
    batch, heads, length, width = query.shape
    is_short = batch == 1 and key.shape[2] == length <= SHORT
    if not is_short or attention_mask is None or attention_mask.dtype != torch.bool:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **more)
    groups = heads // key.shape[1]
    scale = more.get("scaling") or width**-0.5
    result = ShortAttention.apply(
        query[0], repeat_kv(key, groups)[0], repeat_kv(value, groups)[0], attention_mask[0, 0], scale
    )
    return result.transpose(0, 1)[None], None


def _shares(query: Tensor, key: Tensor, mask: Tensor, scale: float) -> Tensor:
    scores = (query @ key.transpose(-1, -2)).mul_(scale)
    return scores.masked_fill_(~mask, float("-inf")).softmax(-1)
