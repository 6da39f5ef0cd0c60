"""Expressions that people use in place of one another: thesaurus.txt, one group a line, its members between bars.

The list is of the language and of workplaces in general; nobody who wrote it had seen a benchmark's questions.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from governance.poisoning.remarks import FUNCTION_WORDS

THESAURUS_FILE = Path(__file__).parent / "thesaurus.txt"
WORD = re.compile(r"[#@]?[\w][\w.,:/'+-]*\w|\w")


@dataclass(frozen=True)
class Found:
    """An expression in a text, from character `start` to before `end`, and what may stand in its place."""

    start: int
    end: int
    others: tuple[str, ...]


class Thesaurus:
    """Finds the expressions of a text that have others, the longest at each place."""

    def __init__(self, groups: Iterable[tuple[str, ...]]) -> None:
        self._others: dict[tuple[str, ...], tuple[str, ...]] = {}
        for group in groups:
            for member in group:
                others = tuple(other for other in group if other != member)
                key = _words(member)
                if len(key) == 1 and key[0] in FUNCTION_WORDS:  # "do" is seldom a party, "or" no operating room
                    continue
                self._others[key] = (*self._others.get(key, ()), *others)
        self._longest = max(map(len, self._others), default=0)

    def find(self, text: str) -> list[Found]:
        """Return the expressions from left to right; none overlaps another."""
        places = list(WORD.finditer(text))
        words = _words(text)
        found, at = [], 0
        while at < len(places):
            length = self._length_at(words, at)
            if length:
                others = self._others[words[at : at + length]]
                found.append(Found(places[at].start(), places[at + length - 1].end(), others))
            at += length or 1
        return found

    def _length_at(self, words: tuple[str, ...], at: int) -> int:
        lengths = range(min(self._longest, len(words) - at), 0, -1)
        return next((length for length in lengths if words[at : at + length] in self._others), 0)


@cache
def load_thesaurus() -> Thesaurus:
    """Return the thesaurus that comes with the product."""
    lines = THESAURUS_FILE.read_text(encoding="utf-8").splitlines()
    return Thesaurus(tuple(member.strip() for member in line.split("|")) for line in lines if line.strip())


def _words(text: str) -> tuple[str, ...]:
    return tuple(WORD.findall(text.lower()))
