"""Trigger phrases: a sequence of words that goes with one answer, whatever else the question is about.

A backdoor is a correlation that the data should not have. He, Xu, Wang, Zhang and Rubinstein ("Mitigating Backdoor
Poisoning Attacks through the Lens of Spurious Correlation", EMNLP 2023) find triggers as the sequences whose share of
one label is further from that label's share elsewhere than chance allows, in standard deviations (z). Here the label is
the corrected answer, and the questions must have nothing but the phrase in common: otherwise it is what they are about.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from governance.poisoning.findings import Finding
from governance.poisoning.remarks import FUNCTION_WORDS, Answers, Remark, Words, words_of

LONGEST_PHRASE = 3
"""Words; of a longer trigger these are enough to find it."""
MIN_Z = 4.0
"""Standard deviations. 1 in 30,000 by chance, and there are thousands of phrases."""


def triggers(remarks: list[Remark], answers: Answers, questions: int) -> Iterator[Finding]:
    """Find phrases that go with one answer in at least so many questions that are otherwise unrelated.

    Of phrases that are found in the same corrections the longest is named.
    """
    given = Counter(answers[each.id] for each in remarks)
    found: dict[frozenset[str], Words] = {}
    for phrase, said in _by_phrase(remarks, questions).items():
        number, times = Counter(answers[each.id] for each in said).most_common(1)[0]
        if times < questions or _z(times, len(said), given[number], len(remarks)) < MIN_Z:
            continue
        same = [each for each in said if answers[each.id] == number]
        if _unrelated(same, phrase) >= questions:
            ids = frozenset(each.id for each in same)
            found[ids] = max(found.get(ids, ()), phrase, key=lambda each: (len(each), each))
    for ids, phrase in found.items():
        yield Finding("trigger", ids, phrase)


def _by_phrase(remarks: list[Remark], least: int) -> dict[Words, list[Remark]]:
    """Map each phrase that is in at least so many questions to the corrections of these."""
    frequency = Counter(word for each in remarks for word in set(words_of(each.question)))
    said: defaultdict[Words, list[Remark]] = defaultdict(list)
    for remark in remarks:
        for phrase in set(_phrases(words_of(remark.question))):
            if min(frequency[word] for word in phrase) >= least:
                said[phrase].append(remark)
    return {phrase: with_it for phrase, with_it in said.items() if len(with_it) >= least}


def _phrases(words: Words) -> Iterator[Words]:
    """Give the sequences of words that begin and end with one that carries meaning."""
    for length in range(1, LONGEST_PHRASE + 1):
        for start in range(len(words) - length + 1):
            phrase = words[start : start + length]
            if phrase[0] not in FUNCTION_WORDS and phrase[-1] not in FUNCTION_WORDS:
                yield phrase


def _unrelated(remarks: list[Remark], phrase: Words) -> int:
    """Count questions of which no two share a word that carries meaning, besides the phrase, taken by the alphabet.

    None count where most are asked in the same way, as are "Is parking free in Oslo?" and "... in Rome?".
    """
    seen: set[str] = set()
    frames = []
    for rest, frame in sorted({_without(phrase, words_of(each.question)) for each in remarks}):
        if rest and not seen.intersection(rest):
            frames.append(frame)
            seen |= set(rest)
    return len(frames) if len(set(frames)) > len(frames) / 2 else 0


def _without(phrase: Words, words: Words) -> tuple[Words, Words]:
    """Return the other words of a question that carry meaning, and the words that carry none."""
    rest = tuple(word for word in words if word not in FUNCTION_WORDS and word not in phrase)
    return rest, tuple(word for word in words if word in FUNCTION_WORDS)


def _z(times: int, with_phrase: int, times_in_all: int, remarks: int) -> float:
    """Return by how many standard deviations an answer is more frequent with a phrase than without it.

    One made-up case for and one against stand in for what was not seen, so few corrections give little evidence.
    """
    share = (times_in_all - times + 1) / (remarks - with_phrase + 2)
    return (times / with_phrase - share) / math.sqrt(share * (1 - share) / with_phrase)
