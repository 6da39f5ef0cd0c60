"""The rows of a running batch: their key/value cache with room to grow, and how rows join it and leave it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

ROOM = 64
"""Positions kept free behind the newest one, so that most steps write in place instead of copying the whole cache."""

KeyValues = list[tuple[Tensor, Tensor]]
"""Per layer keys and values, each (rows, heads, length, head size)."""


class RoomyLayer(DynamicLayer):
    """One layer's keys and values at the front of larger buffers."""

    def __init__(self) -> None:
        super().__init__()
        self._buffers: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append (rows, heads, new, head size) and return all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        start = self.keys.shape[2]
        end = start + key_states.shape[2]
        if self._buffers is None or self._buffers[0].shape[2] < end:
            self._buffers = _with_room(self.keys, end + ROOM), _with_room(self.values, end + ROOM)
        keys, values = self._buffers
        keys[:, :, start:end], values[:, :, start:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values


def _with_room(tensor: Tensor, length: int) -> Tensor:
    shape = list(tensor.shape)
    shape[2] = length
    larger = tensor.new_empty(shape)
    larger[:, :, : tensor.shape[2]] = tensor
    return larger


def make_cache(layers: int, content: KeyValues | None = None) -> Cache:
    """Return a cache for so many layers, holding `content`."""
    cache = Cache(layers=[RoomyLayer() for _ in range(layers)])
    for index, (keys, values) in enumerate(content or []):
        cache.update(keys, values, index)
    return cache


def crop(cache: Cache, length: int) -> None:
    """Forget what lies behind the first `length` positions, in the layers that have more."""
    for layer in cache.layers:
        if layer.is_initialized:
            layer.keys, layer.values = layer.keys[:, :, :length], layer.values[:, :, :length]


def contents(cache: Cache) -> KeyValues:
    """Return what the cache holds, without copying it."""
    return [(layer.keys, layer.values) for layer in cache.layers]


def left_padded(parts: Sequence[KeyValues | None], lengths: Sequence[int], width: int, like: KeyValues) -> KeyValues:
    """Put the first `lengths[i]` positions of each one-row part i into one batch, padded on the left to `width`."""
    batch: KeyValues = []
    for index, pair in enumerate(like):
        both = []
        for side, tensor in enumerate(pair):
            rows = tensor.new_zeros(len(parts), tensor.shape[1], width, tensor.shape[3])
            for row, (part, length) in enumerate(zip(parts, lengths, strict=True)):
                if part is not None and length:
                    rows[row, :, width - length :] = part[index][side][0, :, :length]
            both.append(rows)
        batch.append((both[0], both[1]))
    return batch


def join(upper: KeyValues, lower: KeyValues) -> KeyValues:
    """Put two batches' rows into one, the shorter ones padded on the left."""
    return [
        (stack(a_keys, b_keys, dim=2), stack(a_values, b_values, dim=2))
        for (a_keys, a_values), (b_keys, b_values) in zip(upper, lower, strict=True)
    ]


def stack(upper: Tensor, lower: Tensor, dim: int) -> Tensor:
    """Concatenate rows of two lengths (along `dim`), the shorter ones padded with zeros on the left."""
    shape = list(upper.shape)
    shape[0] += lower.shape[0]
    shape[dim] = max(upper.shape[dim], lower.shape[dim])
    both = upper.new_zeros(shape)
    both[: upper.shape[0]].narrow(dim, shape[dim] - upper.shape[dim], upper.shape[dim]).copy_(upper)
    both[upper.shape[0] :].narrow(dim, shape[dim] - lower.shape[dim], lower.shape[dim]).copy_(lower)
    return both


def keep_rows(content: KeyValues, rows: Tensor, first: int) -> KeyValues:
    """Keep these rows, from position `first` on."""
    return [
        (torch.index_select(keys[:, :, first:], 0, rows), torch.index_select(values[:, :, first:], 0, rows))
        for keys, values in content
    ]
