"""LoRA in the engine: linear layers that apply a different adapter, or none, to each row of one batch.

The adapters of a batch lie one below the other: with ranks r1, r2, ... their A matrices form one (r1 + r2 + ..., in)
matrix and their B matrices one (r1 + r2 + ..., out), so a layer costs two products whatever the number of adapters;
a mask (rows, 1, r1 + r2 + ...), or (1, tokens, ...) where one row holds all, blanks ranks that are not the row's own.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from learning.adapter_files import PREFIX, WEIGHTS, AdapterError, CheckedAdapter

DOWN, UP = ".lora_A.weight", ".lora_B.weight"


Matrices = dict[str, tuple[Tensor, Tensor]]
"""By module name A (rank, in) and B transposed (rank, out), the latter times the adapter's scale."""


@dataclass(frozen=True)
class LoraWeights:
    """One adapter."""

    rank: int
    layers: Matrices


def read_lora(
    adapter: CheckedAdapter, dtype: torch.dtype, device: str, rest: Callable[[], object] = lambda: None
) -> LoraWeights:
    """Read the matrices of an adapter that `check_adapter` found fit; `rest` is called after each layer's.

    Raises:
        AdapterError: they hold something that is, in this dtype, no finite number; it would spread to a whole batch.

    """
    layers: Matrices = {}
    ends: list[Tensor] = []
    with safe_open(adapter.folder / WEIGHTS, framework="pt", device=device) as file:
        for module in [name.removesuffix(DOWN) for name in file.keys() if name.endswith(DOWN)]:  # noqa: SIM118 - no mapping
            down = file.get_tensor(module + DOWN).to(dtype)
            up = (file.get_tensor(module + UP).T.float() * adapter.form.scale).to(dtype).contiguous()
            layers[module.removeprefix(PREFIX)] = down, up
            ends.append(torch.stack([*down.aminmax(), *up.aminmax()]))
            rest()
    finite = torch.stack(ends).isfinite().all(dim=1).tolist()
    if not all(finite):
        module = list(layers)[finite.index(False)]
        raise AdapterError(f"adapter {adapter.digest}: {PREFIX}{module} holds infinity or no number. Train again.")
    return LoraWeights(adapter.form.r, layers)


class LoraLinear(nn.Module):
    """A linear layer plus the adapters that are routed to it."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear
        self.down: Tensor | None = None
        self.up: Tensor | None = None
        self.mask: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (rows, length, in) to (rows, length, out)."""
        outputs: Tensor = self.linear(inputs)
        if self.down is None or self.up is None:
            return outputs
        inner = nn.functional.linear(inputs, self.down)
        if self.mask is not None:
            inner = inner * self.mask
        return outputs.flatten(0, -2).addmm_(inner.flatten(0, -2), self.up).view(outputs.shape)


class Router:
    """Holds the loaded adapters, and says before each forward pass which row uses which."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._adapters: dict[str, LoraWeights] = {}
        self._layers: dict[str, LoraLinear] = {}
        self._rows: tuple[str | None, ...] = ()
        self._in_one = False
        self._present: tuple[str, ...] = ()
        self._stacked: tuple[str, ...] = ()
        self._stack: Matrices = {}

    def add(self, digest: str, weights: LoraWeights) -> None:
        """Make an adapter known; layers that no adapter touched before become able to carry one."""
        for name in weights.layers.keys() - self._layers.keys():
            layer = LoraLinear(self._model.get_submodule(name))
            parent, _, child = name.rpartition(".")
            setattr(self._model.get_submodule(parent), child, layer)
            self._layers[name] = layer
        self._adapters[digest] = weights

    def remove(self, digest: str) -> None:
        """Forget an adapter that no running row uses."""
        self._adapters.pop(digest, None)
        if digest in self._stacked:
            self._stacked = ()
        if digest in self._present:
            self._clear()

    def stack(self, adapters: Iterable[str | None]) -> bool:
        """Lay the matrices of these adapters below each other for passes to come; return whether that was to be done.

        It is not where they are already, be it among others, nor where there is one at most.
        """
        present = _present(adapters)
        if len(present) <= 1 or set(self._stacked).issuperset(present):
            return False
        self._clear()  # what the layers have may be written over
        self._stacked = present
        self._stack = _stack([self._adapters[digest] for digest in present], self._stack)
        return True

    def route(self, rows: Sequence[str | None]) -> None:
        """Let row i of the next forward passes use adapter `rows[i]` (None: the base model)."""
        self._route(rows, in_one=False)

    def route_tokens(self, tokens: Sequence[str | None]) -> None:
        """Let token i of the one row of the next forward passes use adapter `tokens[i]` (None: the base model)."""
        self._route(tokens, in_one=True)

    def _route(self, rows: Sequence[str | None], *, in_one: bool) -> None:
        if (tuple(rows), in_one) == (self._rows, self._in_one):
            return
        self.stack(rows)
        self._rows, self._in_one = tuple(rows), in_one
        present = _present(rows)
        if len(present) > 1:
            present = self._stacked
        if present != self._present:
            self._lay(present)
        mask = self._mask(present)
        for layer in self._layers.values():
            layer.mask = mask

    def _clear(self) -> None:
        self._rows = ()
        self._lay(())

    def _lay(self, present: tuple[str, ...]) -> None:
        self._present = present
        alone = self._adapters[present[0]].layers if present else {}
        matrices = self._stack if len(present) > 1 else alone
        for name, layer in self._layers.items():
            layer.down, layer.up = matrices.get(name, (None, None))

    def _mask(self, present: Sequence[str]) -> Tensor | None:
        """Return (rows, 1, ranks), or (1, tokens, ranks) of tokens in one row.

        It is 1 where the rank belongs to the row's adapter; None when all rows use all ranks.
        """
        if len({*self._rows, *present}) <= 1:
            return None
        ranks = [digest for digest in present for _ in range(self._adapters[digest].rank)]
        own = [[float(row == owner) for owner in ranks] for row in self._rows]
        mask = torch.tensor(own, dtype=self._model.dtype, device=self._model.device)
        return mask[None] if self._in_one else mask[:, None]


def _present(rows: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({row for row in rows if row is not None}))


def _stack(adapters: Sequence[LoraWeights], old: Matrices) -> Matrices:
    """Lay the matrices of each layer one below the other; one that leaves a layer out gets zeros there.

    Where they fit, they go into the memory of an old stack: to get new memory takes as long as to fill it.
    """
    ranks = sum(each.rank for each in adapters)
    stack = {}
    for name in {name for each in adapters for name in each.layers}:
        known = [each.layers.get(name) for each in adapters]
        like = next(pair for pair in known if pair is not None)
        pairs = [pair or _blank(like, each.rank) for pair, each in zip(known, adapters, strict=True)]
        down, up = old.get(name, (None, None))
        fits = down is not None and down.shape[0] == ranks
        stack[name] = (
            torch.cat([down for down, _ in pairs], out=down if fits else None),
            torch.cat([up for _, up in pairs], out=up if fits else None),
        )
    return stack


def _blank(like: tuple[Tensor, Tensor], rank: int) -> tuple[Tensor, Tensor]:
    """Return matrices of zeros for the same layer."""
    down, up = like
    return down.new_zeros(rank, down.shape[1]), up.new_zeros(rank, up.shape[1])
