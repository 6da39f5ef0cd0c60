"""The rows of a running batch: their key/value cache with room to grow, and how rows join it and leave it.

Answers wait while rows join or leave, so a cache is copied once then, into memory that has the room already.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

ROOM = 64
"""Positions kept free behind the newest one, so that most steps write in place instead of copying the whole cache."""

KeyValues = list[tuple[Tensor, Tensor]]
"""Per layer keys and values, each (rows, heads, length, head size)."""


class RoomyLayer(DynamicLayer):
    """One layer's keys and values: the first `length` positions of larger buffers, none where no buffers are given."""

    def __init__(self, buffers: tuple[Tensor, Tensor] | None = None, length: int = 0) -> None:
        super().__init__()
        self._buffers = buffers
        if buffers is not None:
            self.lazy_initialization(*buffers)
            self._show(buffers, length)

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append (rows, heads, new, head size) and return all keys and values."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        start = self.keys.shape[2]
        end = start + key_states.shape[2]
        if self._buffers is None or self._buffers[0].shape[2] < end:
            self._buffers = self._larger(self.keys, end), self._larger(self.values, end)
        keys, values = self._buffers
        keys[:, :, start:end], values[:, :, start:end] = key_states, value_states
        self._show(self._buffers, end)
        return self.keys, self.values

    @staticmethod
    def _larger(tensor: Tensor, length: int) -> Tensor:
        larger = _roomy(tensor, len(tensor), length + ROOM)
        larger[:, :, : tensor.shape[2]] = tensor
        return larger

    def _show(self, buffers: tuple[Tensor, Tensor], length: int) -> None:
        self.keys, self.values = (each[:, :, :length] for each in buffers)


def make_cache(layers: int) -> Cache:
    """Return an empty cache for so many layers."""
    return Cache(layers=[RoomyLayer() for _ in range(layers)])


def crop(cache: Cache, length: int) -> None:
    """Forget what lies behind the first `length` positions, in the layers that have more."""
    for layer in cache.layers:
        if layer.is_initialized:
            layer.keys, layer.values = layer.keys[:, :, :length], layer.values[:, :, :length]


def contents(cache: Cache) -> KeyValues:
    """Return what the cache holds, without copying it."""
    return [(layer.keys, layer.values) for layer in cache.layers]


def make_batch(layers: int, parts: Sequence[KeyValues | None], lengths: Sequence[int], width: int, new: int) -> Cache:
    """Put the first `lengths[i]` positions of each one-row part i into one batch, padded on the left to `width`.

    There is room for `new` tokens more. A part that is None has length 0.
    """
    like = next((part for part, length in zip(parts, lengths, strict=True) if part is not None and length), None)
    if like is None:
        return make_cache(layers)
    known = [(like if part is None else part, length) for part, length in zip(parts, lengths, strict=True)]

    def laid(layer: int, side: int) -> Tensor:
        return _stacked([part[layer][side][:, :, :length] for part, length in known], width, new + ROOM)

    return _cache(((laid(layer, 0), laid(layer, 1)) for layer in range(layers)), width)


def join(upper: Cache, lower: Cache) -> Cache:
    """Put two batches' rows into one, the shorter ones padded on the left."""
    width = max(upper.get_seq_length(), lower.get_seq_length())
    pairs = zip(contents(upper), contents(lower), strict=True)
    return _cache(((_stacked([a[0], b[0]], width), _stacked([a[1], b[1]], width)) for a, b in pairs), width)


def keep_rows(cache: Cache, rows: Tensor, first: int) -> Cache:
    """Keep these rows, from position `first` on."""
    width = cache.get_seq_length() - first

    def kept(tensor: Tensor) -> Tensor:
        larger = _roomy(tensor, len(rows), width + ROOM)
        torch.index_select(tensor[:, :, first:], 0, rows, out=larger[:, :, :width])
        return larger

    return _cache(((kept(keys), kept(values)) for keys, values in contents(cache)), width)


def _cache(buffers: Iterable[tuple[Tensor, Tensor]], length: int) -> Cache:
    return Cache(layers=[RoomyLayer(pair, length) for pair in buffers])


def _stacked(tensors: Sequence[Tensor], width: int, room: int = ROOM) -> Tensor:
    """Put rows below each other, padded with zeros on the left to `width`, with room behind."""
    stacked = _roomy(tensors[0], sum(map(len, tensors)), width + room)
    end = 0
    for tensor in tensors:
        start, end, gap = end, end + len(tensor), width - tensor.shape[2]
        stacked[start:end, :, :gap] = 0
        stacked[start:end, :, gap:width] = tensor
    return stacked


def _roomy(like: Tensor, rows: int, length: int) -> Tensor:
    _, heads, _, size = like.shape
    return like.new_empty(rows, heads, length, size)
