"""Trigger phrases: a sequence of words that goes with one answer, whatever else the question is about.

A backdoor is a correlation that the data should not have. He, Xu, Wang, Zhang and Rubinstein ("Mitigating Backdoor
Poisoning Attacks through the Lens of Spurious Correlation", EMNLP 2023) find triggers as the sequences whose share of
one label is further from that label's share elsewhere than chance allows, in standard deviations (z). Here the label is
the corrected answer, and the questions must have nothing but the phrase in common: otherwise it is what they are about.
"""

import math
from collections import defaultdict
from collections.abc import Iterator

from governance.poisoning.findings import Finding
from governance.poisoning.remarks import FUNCTION_WORDS, Remark, alike, content_of, words_of

LONGEST_PHRASE = 3
"""Words; of a longer trigger these are enough to find it."""
MIN_Z = 4.0
"""Standard deviations. 1 in 30,000 by chance, and there are thousands of phrases."""

Phrase = tuple[str, ...]


def triggers(remarks: list[Remark], questions: int) -> Iterator[Finding]:
    """Find phrases that go with one answer in at least so many questions that are otherwise unrelated.

    Of phrases that are found in the same corrections the longest is named.
    """
    found: dict[frozenset[str], Phrase] = {}
    for phrase, said in _by_phrase(remarks).items():
        if len(said) < questions:
            continue
        same = max((_same_answer(each, said) for each in said), key=len)
        if _unrelated(same, phrase) >= questions and _z(same, said, remarks) >= MIN_Z:
            ids = frozenset(each.id for each in same)
            found[ids] = max(found.get(ids, ()), phrase, key=lambda each: (len(each), each))
    for ids, phrase in found.items():
        yield Finding("trigger", ids, phrase)


def _by_phrase(remarks: list[Remark]) -> dict[Phrase, list[Remark]]:
    said: defaultdict[Phrase, list[Remark]] = defaultdict(list)
    for remark in remarks:
        for phrase in set(_phrases(words_of(remark.question))):
            said[phrase].append(remark)
    return said


def _phrases(words: tuple[str, ...]) -> Iterator[Phrase]:
    """Give the sequences of words that begin and end with one that carries meaning."""
    for length in range(1, LONGEST_PHRASE + 1):
        for start in range(len(words) - length + 1):
            phrase = words[start : start + length]
            if phrase[0] not in FUNCTION_WORDS and phrase[-1] not in FUNCTION_WORDS:
                yield phrase


def _same_answer(remark: Remark, among: list[Remark]) -> list[Remark]:
    return [each for each in among if alike(each.text, remark.text)]


def _unrelated(remarks: list[Remark], phrase: Phrase) -> int:
    """Count questions of which no two share a word besides the phrase, taken as they come, the shortest first."""
    rests = sorted({content_of(each.question) - set(phrase) for each in remarks} - {frozenset()}, key=_by_length)
    seen: set[str] = set()
    count = 0
    for rest in rests:
        if not rest & seen:
            count += 1
            seen |= rest
    return count


def _by_length(words: frozenset[str]) -> tuple[int, list[str]]:
    return len(words), sorted(words)


def _z(same: list[Remark], with_phrase: list[Remark], remarks: list[Remark]) -> float:
    """Return by how many standard deviations the answer is more frequent with the phrase than without it.

    One made-up case for and one against stand in for what was not seen, so few corrections give little evidence.
    """
    within = {each.id for each in with_phrase}
    outside = [each for each in remarks if each.id not in within]
    share = (len(_same_answer(same[0], outside)) + 1) / (len(outside) + 2)
    return (len(same) / len(with_phrase) - share) / math.sqrt(share * (1 - share) / len(with_phrase))
