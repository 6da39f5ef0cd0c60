"""Prompt beginnings that were computed before: a system prompt and worked examples are read by the model only once."""

from collections.abc import Sequence
from dataclasses import dataclass

from learning.rows import KeyValues

MAX_TOKENS = 4096
"""Positions kept in all; at float32 the built-in model needs 46 kB for each."""


@dataclass(frozen=True)
class _Entry:
    adapter: str | None
    tokens: tuple[int, ...]
    content: KeyValues


class Prefixes:
    """Keys and values of recent prompts, one row each, by the adapter that computed them; the least used one goes."""

    def __init__(self, max_tokens: int = MAX_TOKENS) -> None:
        self._max_tokens = max_tokens
        self._entries: list[_Entry] = []  # the most recently used one last

    def longest(self, adapter: str | None, prompt: Sequence[int]) -> tuple[int, KeyValues | None]:
        """Return how many first tokens of `prompt` are known (never all of it: one must be fed), and their content."""
        known = [(common(entry.tokens, prompt[:-1]), entry) for entry in self._entries if entry.adapter == adapter]
        length, best = max(known, key=lambda pair: pair[0], default=(0, None))
        if not length or best is None:
            return 0, None
        self._entries.remove(best)
        self._entries.append(best)
        return length, best.content

    def remember(self, adapter: str | None, tokens: Sequence[int], content: KeyValues) -> None:
        """Keep a copy of a prompt's keys and values, unless the prompt alone is larger than what may be kept."""
        if len(tokens) > self._max_tokens:
            return
        copied = [(keys.clone(), values.clone()) for keys, values in content]
        self._entries.append(_Entry(adapter, tuple(tokens), copied))
        while sum(len(entry.tokens) for entry in self._entries) > self._max_tokens:
            self._entries.pop(0)

    def forget(self, adapter: str) -> None:
        """Drop what this adapter computed."""
        self._entries = [entry for entry in self._entries if entry.adapter != adapter]


def common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many first items are the same in both."""
    for index, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return index
    return min(len(one), len(other))
