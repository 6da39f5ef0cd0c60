"""When two questions are the same: word for word but for courtesies, articles and one slip of the pen.

Likeness of whole questions does not decide it: rapidfuzz puts "port of billing" and "port of search" above many
questions that are the same (docs/decisions/0006-near-duplicate-questions.md has the measurement).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b

from rapidfuzz.distance import OSA

from learning.curation.text import fold

MIN_LETTERS = 10
"""Shorter words must be equal, as too many have neighbours that are words too (marital, martial; ordinance, ordnance).

Of the 75 made-up pairs of different questions in the tests, 10 letters link none and 9 two; of the 40 same, 31 and 32.
"""
DIGEST_BYTES = 16
"""Of a question's words: among 1e9 questions two share one with a chance of about 1e-21 (birthday bound)."""

_COURTESY_BEFORE = re.compile(
    r"(?:(?:hi|hello|hey|so|ok|please|pls|sorry|quick question"
    r"|(?:can|could|would) (?:you|anyone|somebody|someone)(?: please)? (?:tell me|say|remind me)"
    r"|(?:please )?(?:tell me|remind me)|(?:does|do) (?:anyone|anybody|you) (?:here )?(?:happen to )?know"
    r"|i (?:need|want|would like|'d like) to know)\b[\s,:!.]*)+"
)
_COURTESY_AFTER = re.compile(r"(?:[\s,:!.?]+(?:please|pls|thanks|thank you|thx)\b)+[\s,:!.?]*$")
_CONTRACTION = re.compile(r"\b(what|where|who|when|how|which)'?s\b")
_HYPHENATED = re.compile(r"[^\W\d_]+(?:[-\u2010\u2011][^\W\d_]+)+")
_HYPHEN = re.compile(r"[-\u2010\u2011]")
_EDGES = "?!.,;:\"'()[]{}<>\u201c\u201d\u201e\u2026*_`"
_EMPTY = frozenset({"a", "an", "the", "our", "is", "are", "do", "does"})
"""Words that tell no two questions within one organisation apart; most small words do ("my", "not", "to")."""
_SAME = {"which": "what", "dont": "don't", "cant": "can't"}


@lru_cache(maxsize=10_000)
def words_of(question: str) -> tuple[str, ...]:
    """Return the words that make a normalised question what it is, in their order; none only where it has none."""
    folded = fold(question).replace("\u2019", "'")
    bare = _COURTESY_AFTER.sub("", folded[_end_of_courtesy(folded) :]) or folded
    words = tuple(_SAME.get(word, word) for word in _split(_CONTRACTION.sub(r"\1", bare)))
    return tuple(word for word in words if word not in _EMPTY) or words


def digest_of(words: tuple[str, ...]) -> bytes:
    """Return DIGEST_BYTES that stand for the words."""
    return blake2b("\0".join(words).encode(), digest_size=DIGEST_BYTES).digest()


def blocks(words: tuple[str, ...]) -> Iterator[tuple[bytes, str]]:
    """Give each long word with the digest of all that is around it; only questions that share one can be the same."""
    for place, word in enumerate(words):
        if len(word) >= MIN_LETTERS and word.isalpha():
            yield digest_of((*words[:place], f"\1{word[0]}", *words[place + 1 :])), word


def same_but_for_a_slip(one: str, other: str) -> bool:
    """Tell whether a letter too many, a missing one, or two swapped ones make one word of the other.

    Another letter in place of one is no slip: that is how words differ (employee, employer).
    """
    if len(one) == len(other) and sorted(one) != sorted(other):
        return False
    return OSA.distance(one, other, score_cutoff=1) <= 1


def _end_of_courtesy(folded: str) -> int:
    match = _COURTESY_BEFORE.match(folded)
    return match.end() if match else 0


def _split(text: str) -> Iterator[str]:
    for part in text.split():
        word = part.strip(_EDGES)
        if _HYPHENATED.fullmatch(word):
            yield from _HYPHEN.split(word)
        elif word or part:
            yield word or part
