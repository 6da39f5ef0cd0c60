"""Linear layers in the layout that a CPU's matrix products are fastest in, for few rows at a time.

A decoding step multiplies each weight by one row for each running request. For so few rows oneDNN with weights that it
laid out itself is twice as fast as MKL with plain ones. PyTorch has that only inside torch.compile (freezing of
weights), which takes minutes to start and compiles again for each number of rows; here its operators are called as
they are. docs/decisions/0028 has the figures.
"""

from typing import Any

import torch
from torch import Tensor, nn

ROWS = 8
"""The number of rows that the layout is chosen for; others may come."""


class PackedLinear(nn.Module):
    """A linear layer whose weight (out, in) oneDNN has laid out; nothing but this layer can read it then.

    A weight that another module has too, as the embedding has that of the last layer, stays as it is beside that.
    """

    def __init__(self, linear: nn.Linear, *, shared: bool) -> None:
        super().__init__()
        self.out_features, self.in_features = linear.out_features, linear.in_features
        self.bias = linear.bias
        self._packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), ROWS)  # noqa: SLF001 - see above
        self.weight = linear.weight if shared else nn.Parameter(self._packed, requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        outputs: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")  # noqa: SLF001
        return outputs


def can_pack(device: str, dtype: torch.dtype) -> bool:
    """Whether this PyTorch lays out weights for this device and dtype."""
    return device == "cpu" and dtype == torch.float32 and torch.backends.mkldnn.is_available()


def pack(model: Any) -> None:
    """Replace all linear layers of a model that will not be trained."""
    linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    shared = {
        id(weight)
        for module in model.modules()
        if not isinstance(module, nn.Linear)
        for weight in module.parameters(recurse=False)
    }
    for name, linear in linears.items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, PackedLinear(linear, shared=id(linear.weight) in shared))
