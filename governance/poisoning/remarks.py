"""What the detectors see of a correction, and how its texts are compared: by their words, in any spelling of case."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import combinations, pairwise

FUNCTION_WORDS = frozenset(
    """
    a an the of in on at to for from with by and or but if is are was were be been being am do does did done has
    have had having i we you they he she it me us my our your their its his her this that these those there here
    what which who whom whose where when why how long often many much fast large big far old high can could may
    might must shall should will would not no up off out about as into than then so any some each every per all
    only also just without within after before during one ones same other
    """.split()  # noqa: SIM905 - reads better than 130 quoted words
)
"""English words that say nothing of what a question is about."""
WORD = re.compile(r"[^\W_]+(?:['\u2019.,:-][^\W_]+)*")
LONG_TEXT = 6
"""Words. Two people who state a fact in fewer often choose the same ones by chance ("Port 7443."); rarely in more."""
LIKENESS = 0.5
"""Resemblance (Broder, "On the resemblance and containment of documents", 1997) of two texts that are nearly the same:
pairs of neighbouring words that both have, of those that either has. One word of seven replaced leaves 0.5; two facts
told in one sentence pattern ("the fee of the Ash hall is 40 euros", "... Oak hall is 45 ...") have 0.33."""
MAX_KEYS = 8
"""Words of a question by which its subjects are formed, the longest: of 40 there would be 780 pairs."""

COMMON_PAIR = 100
"""Answers that may share a pair of words and still be compared because of it; "of the" says nothing."""

Words = tuple[str, ...]
Place = tuple[str, Words]
Answers = Mapping[str, int]
"""The number of the answer that each remark gives, by its id."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One person's correction of an answer: `text` is what they say is right, `answer` what the bot had said.

    `imported` ones came from a file, all in one moment. `settled` ones were accepted by a reviewer: no evidence.
    """

    id: str
    person: str
    question: str
    answer: str
    text: str
    at: datetime
    imported: bool = False
    settled: bool = False

    @property
    def place(self) -> Place:
        """Whose correction of which question it is: a later one there replaces it."""
        return self.person, words_of(self.question)


@lru_cache(maxsize=50_000)
def words_of(text: str) -> Words:
    """Return the words of a text, case folded, in their order."""
    return tuple(WORD.findall(text.casefold()))


def content_of(text: str) -> frozenset[str]:
    """Return the words that say what a question is about; all of them where there is no such word."""
    words = frozenset(words_of(text))
    return words - FUNCTION_WORDS or words


@lru_cache(maxsize=50_000)
def subjects_of(question: str) -> frozenset[Words]:
    """Return what stands for the subjects of a question: each two words that carry meaning, or the only one.

    One word is not enough to tell subjects apart: in a company that makes kites, every other question has "kite".
    """
    keys = sorted(sorted(content_of(question), key=lambda word: (-len(word), word))[:MAX_KEYS])
    return frozenset(combinations(keys, 2)) or frozenset({tuple(keys)})


@lru_cache(maxsize=50_000)
def _pairs(words: Words) -> frozenset[tuple[str, str]]:
    return frozenset(pairwise(words))


def alike(one: str, other: str) -> bool:
    """Tell whether two texts say nearly the same; short ones only where they have the same words."""
    return _alike(words_of(one), words_of(other))


def _alike(first: Words, second: Words) -> bool:
    if first == second:
        return True
    if min(len(first), len(second)) < LONG_TEXT:
        return False
    ours, theirs = _pairs(first), _pairs(second)
    return len(ours & theirs) >= LIKENESS * len(ours | theirs)


def answers_of(remarks: list[Remark]) -> Answers:
    """Give each remark, by its id, the number of its answer: what is alike has the number of the first.

    Only texts that share a pair of words are compared, of the pairs that are in at most COMMON_PAIR answers.
    """
    numbers: dict[Words, int] = {}
    with_pair: defaultdict[tuple[str, str], list[Words]] = defaultdict(list)
    found = {}
    for remark in remarks:
        words = words_of(remark.text)
        if words not in numbers:
            near = dict.fromkeys(
                each for pair in _pairs(words) if len(with_pair[pair]) <= COMMON_PAIR for each in with_pair[pair]
            )
            first = next((each for each in near if _alike(each, words)), None)
            numbers[words] = len(numbers) if first is None else numbers[first]
            if first is None:
                for pair in _pairs(words):
                    with_pair[pair].append(words)
        found[remark.id] = numbers[words]
    return found


def latest(remarks: list[Remark]) -> list[Remark]:
    """Return what stands, in the order of time: of a person's corrections of one question only the last."""
    standing = {each.place: each for each in sorted(remarks, key=_by_time)}
    return sorted(standing.values(), key=_by_time)


def windows(remarks: list[Remark], minutes: float) -> list[list[Remark]]:
    """Return, for each remark of a list in the order of time, those of the minutes up to it, itself the last."""
    found, start = [], 0
    for end, remark in enumerate(remarks):
        while remark.at - remarks[start].at > timedelta(minutes=minutes):
            start += 1
        found.append(remarks[start : end + 1])
    return found


def _by_time(remark: Remark) -> tuple[datetime, str]:
    return remark.at, remark.id
