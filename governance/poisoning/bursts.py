"""Much in a short time: by one person, by several on one subject, or by several in nearly the same words.

What came from a file came in one moment, so it is no burst.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from governance.poisoning.findings import Finding
from governance.poisoning.remarks import LONG_TEXT, Answers, Remark, content_of, subjects_of, windows, words_of

MOST_OF_IT = 0.5
"""A burst is more than this share of what was said of a subject lately; what is always talked about has none."""


def person_bursts(remarks: list[Remark], most: int, minutes: float, trust: Mapping[str, int]) -> Iterator[Finding]:
    """Find people who wrote more than `most` corrections within so many minutes, plus one for each in `trust`.

    To read an answer, know better and write that down takes most of a minute; who does it thirty times in ten minutes
    has a list, and perhaps no judgement. `trust` counts what reviewers accepted of a person.
    """
    for person, said in _by_person(remarks).items():
        allowed = most + trust.get(person, 0)
        burst = {each.id for window in windows(said, minutes) if len(window) > allowed for each in window}
        if burst:
            yield Finding("person_burst", frozenset(burst))


def subject_bursts(remarks: list[Remark], people: int, minutes: float) -> Iterator[Finding]:
    """Find subjects that so many people corrected within so many minutes, and hardly anybody before.

    A correction is given to the next one who asks, so few people need to correct the same thing on the same day.
    """
    about: defaultdict[tuple[str, ...], list[Remark]] = defaultdict(list)
    for remark in _live(remarks):
        for subject in subjects_of(remark.question):
            about[subject].append(remark)
    for said in about.values():
        for window in windows(said, minutes):
            if _people(window) >= people and len(window) > MOST_OF_IT * len(said):
                yield Finding("subject_burst", frozenset(each.id for each in window))


def copies(remarks: list[Remark], answers: Answers, people: int, minutes: float) -> Iterator[Finding]:
    """Find nearly identical texts by so many people within so many minutes, whatever the questions.

    Texts of fewer than LONG_TEXT words only where the questions have the same words too, but for order and small ones:
    people choose the same few words for a fact by chance.
    """
    same: defaultdict[tuple[int, frozenset[str]], list[Remark]] = defaultdict(list)
    for remark in _live(remarks):
        is_long = len(words_of(remark.text)) >= LONG_TEXT
        same[answers[remark.id], frozenset() if is_long else content_of(remark.question)].append(remark)
    for said in same.values():
        for window in windows(said, minutes):
            if _people(window) >= people:
                yield Finding("copies", frozenset(each.id for each in window))


def _live(remarks: list[Remark]) -> list[Remark]:
    return [each for each in remarks if not each.imported]


def _people(remarks: list[Remark]) -> int:
    return len({each.person for each in remarks})


def _by_person(remarks: list[Remark]) -> dict[str, list[Remark]]:
    said: defaultdict[str, list[Remark]] = defaultdict(list)
    for remark in _live(remarks):
        said[remark.person].append(remark)
    return said
