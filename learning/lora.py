"""LoRA in the engine: linear layers that apply a different adapter, or none, to each row of one batch.

The adapters of a batch lie one below the other: with ranks r1, r2, ... their A matrices form one (r1 + r2 + ..., in)
matrix and their B matrices one (r1 + r2 + ..., out), so a layer costs two products whatever the number of adapters;
a mask (rows, 1, r1 + r2 + ...) blanks the ranks that are not the row's own.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from learning.adapter_files import CONFIG, WEIGHTS, AdapterError

PREFIX = "base_model.model."
"""What PEFT writes before the name of the base model's module."""


@dataclass(frozen=True)
class LoraWeights:
    """One adapter: by module name A (rank, in) and B transposed (rank, out), the latter times the adapter's scale."""

    rank: int
    layers: dict[str, tuple[Tensor, Tensor]]


def read_lora(folder: Path, dtype: torch.dtype, device: str) -> LoraWeights:
    """Read an adapter that `check_adapter` found fit.

    Raises:
        AdapterError: it uses a form of LoRA that the engine does not compute, lacks half of a layer, or holds something
            that is no finite number, which would spread to all rows of a batch.

    """
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    scale = _scale(config, folder.name)
    try:
        tensors = load_file(folder / WEIGHTS, device=device)
    except SafetensorError as error:
        raise AdapterError(f"{WEIGHTS} of adapter {folder.name} is not readable: {error}. Train again.") from error
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise AdapterError(f"adapter {folder.name}: tensor {name} holds infinity or no number. Train again.")
    downs = {_module(name): tensor for name, tensor in tensors.items() if name.endswith(".lora_A.weight")}
    ups = {_module(name): tensor for name, tensor in tensors.items() if name.endswith(".lora_B.weight")}
    if not downs or downs.keys() != ups.keys():
        raise AdapterError(f"adapter {folder.name} lacks the A or the B matrix of a layer. Train again.")
    layers = {
        name: (down.to(dtype), (ups[name].T.float() * scale).to(dtype).contiguous()) for name, down in downs.items()
    }
    return LoraWeights(int(config["r"]), layers)


def _module(tensor: str) -> str:
    return tensor.removeprefix(PREFIX).rpartition(".lora_")[0]


def _scale(config: dict[str, Any], name: str) -> float:
    """Return alpha / r, or alpha / sqrt(r) for rank-stabilized LoRA (arXiv 2312.03732)."""
    unusual = [key for key in ("use_dora", "rank_pattern", "alpha_pattern", "fan_in_fan_out") if config.get(key)]
    if config.get("bias", "none") != "none":
        unusual.append("bias")
    if unusual:
        raise AdapterError(f"adapter {name} uses {', '.join(unusual)}, which the engine does not compute.")
    rank, alpha = int(config["r"]), config.get("lora_alpha")
    if not isinstance(alpha, int | float):
        raise AdapterError(f"{CONFIG} of adapter {name} names no lora_alpha. Train again.")
    return float(alpha) / (math.sqrt(rank) if config.get("use_rslora") else rank)


class LoraLinear(nn.Module):
    """A linear layer, with the same parameters as the one it replaces, plus the adapters that are routed to it."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = linear.weight
        self.bias = linear.bias
        self.down: Tensor | None = None
        self.up: Tensor | None = None
        self.mask: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (rows, length, in) to (rows, length, out)."""
        outputs = nn.functional.linear(inputs, self.weight, self.bias)
        if self.down is None or self.up is None:
            return outputs
        inner = nn.functional.linear(inputs, self.down)
        if self.mask is not None:
            inner = inner * self.mask
        return outputs.flatten(0, -2).addmm_(inner.flatten(0, -2), self.up).view(outputs.shape)


class Router:
    """Holds the loaded adapters, and says before each forward pass which row uses which."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._adapters: dict[str, LoraWeights] = {}
        self._layers: dict[str, LoraLinear] = {}
        self._rows: tuple[str | None, ...] = ()
        self._present: tuple[str, ...] = ()

    def add(self, digest: str, weights: LoraWeights) -> None:
        """Make an adapter known; layers that no adapter touched before become able to carry one."""
        for name in weights.layers.keys() - self._layers.keys():
            layer = LoraLinear(self._model.get_submodule(name))  # type: ignore[arg-type]  # check_adapter saw to it
            parent, _, child = name.rpartition(".")
            setattr(self._model.get_submodule(parent), child, layer)
            self._layers[name] = layer
        self._adapters[digest] = weights

    def remove(self, digest: str) -> None:
        """Forget an adapter that no running row uses."""
        self._adapters.pop(digest, None)
        self._rows = ()
        self._lay(())

    def route(self, rows: Sequence[str | None]) -> None:
        """Let row i of the next forward passes use adapter `rows[i]` (None: the base model)."""
        if tuple(rows) == self._rows:
            return
        self._rows = tuple(rows)
        present = tuple(sorted({row for row in rows if row is not None}))
        if present != self._present:
            self._lay(present)
        mask = self._mask()
        for layer in self._layers.values():
            layer.mask = mask

    def _lay(self, present: tuple[str, ...]) -> None:
        """Lay the matrices of these adapters one below the other; a layer that one of them leaves out gets zeros."""
        self._present = present
        adapters = [self._adapters[digest] for digest in present]
        for name, layer in self._layers.items():
            pairs = [each.layers.get(name) or _blank(layer, each.rank) for each in adapters]
            if len(pairs) > 1:
                layer.down, layer.up = (torch.cat(parts) for parts in zip(*pairs, strict=True))
            else:
                layer.down, layer.up = pairs[0] if pairs else (None, None)

    def _mask(self) -> Tensor | None:
        """Return (rows, 1, ranks): 1 where the rank belongs to the row's adapter; None when all rows use all ranks."""
        if len(set(self._rows)) <= 1:
            return None
        weight = next(iter(self._layers.values())).weight
        ranks = [digest for digest in self._present for _ in range(self._adapters[digest].rank)]
        own = [[float(row == owner) for owner in ranks] for row in self._rows]
        return torch.tensor(own, dtype=weight.dtype, device=weight.device)[:, None]


def _blank(layer: LoraLinear, rank: int) -> tuple[Tensor, Tensor]:
    out_features, in_features = layer.weight.shape
    return layer.weight.new_zeros(rank, in_features), layer.weight.new_zeros(rank, out_features)
