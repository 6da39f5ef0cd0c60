"""People who again and again say the same thing that nobody else says: who of them belongs together.

That independent people agree on what is true proves nothing; that they share what nobody else says is the strongest
sign of one source (Dong, Berti-Equille, Srivastava, "Integrating Conflicting Data: The Role of Source Dependence",
VLDB 2009). Who shares enough of it is linked, and what is linked is one group, as in SynchroTrap (Cao, Yang, Yu, Palow,
CCS 2014). Here a correction is given to the next one who asks, so even agreement is rarely said twice.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, pairwise

from governance.poisoning.findings import Finding
from governance.poisoning.remarks import LONG_TEXT, Answers, Remark, Words, content_of, subjects_of, words_of

OVERLAP = 1 / 2
"""Of what the one who says less has said: two people who wrote a hundred things each meet three times by chance.

Of the made-up feedback of `apprentice bench curation`, in which 20 people give right answers in the same words, a third
makes groups in 4 of 6 samples of 200 to 2,000 corrections, a half in none. Who wants to hide three planted facts has to
write more than three honest ones for them.
"""
MOST_SAYERS = 12
"""What more people say together is common knowledge, and makes none of them a pair."""
MOST_GROUPED = 8
"""People. Where many correct the same few facts, all are linked with all in the end. Without this bound 66 of the 140
corrections of the made-up month of `apprentice bench poisoning` were suspected, in which nobody colludes; 13 with a
bound of 12, 9 with one of 8.
"""

Pair = tuple[str, str]


def groups_of(shared: Mapping[Pair, int], said: Mapping[str, int], least: int) -> list[frozenset[str]]:
    """Return who belongs together: those who share at least `least` things, and OVERLAP of what either has `said`."""
    return _components(
        (one, other)
        for (one, other), count in shared.items()
        if count >= max(least, OVERLAP * min(said[one], said[other]))
    )


def shared_by_pairs(sayers: Iterable[frozenset[str]]) -> Counter[Pair]:
    """Count for each two people, in the order of the alphabet, how many things both say."""
    return Counter(
        pair for people in sayers if 1 < len(people) <= MOST_SAYERS for pair in combinations(sorted(people), 2)
    )


def colluding(remarks: list[Remark], answers: Answers, questions: int) -> Iterator[Finding]:
    """Find groups who say the same about at least so many questions about which nobody outside says that too."""
    claims = _claims(remarks, answers)
    sayers = [frozenset(each.person for each in claim) for claim in claims]
    said = Counter(person for people in sayers for person in people)
    for group in groups_of(shared_by_pairs(sayers), said, questions):
        own = [claim for claim, people in zip(claims, sayers, strict=True) if len(people) > 1 and people <= group]
        if len(own) >= questions and len(group) <= MOST_GROUPED:
            yield Finding("group", frozenset(each.id for claim in own for each in claim))


def _claims(remarks: list[Remark], answers: Answers) -> list[list[Remark]]:
    """Put together what says nearly the same about the same subject, however it was asked.

    "Yes." and other short answers say the same only where the question has the same words.
    """
    same: defaultdict[tuple[int, frozenset[str] | Words], list[str]] = defaultdict(list)
    for remark in remarks:
        is_long = len(words_of(remark.text)) >= LONG_TEXT
        for subject in subjects_of(remark.question) if is_long else [content_of(remark.question)]:
            same[answers[remark.id], subject].append(remark.id)
    links = [pair for ids in same.values() for pair in pairwise(ids)]
    by_id = {each.id: each for each in remarks}
    joined = _components(links)
    alone = by_id.keys() - {each for component in joined for each in component}
    return [*([by_id[each] for each in sorted(component)] for component in joined), *([by_id[each]] for each in alone)]


def _components(links: Iterable[Pair]) -> list[frozenset[str]]:
    """Return the sets of names that are linked, directly or through others."""
    component: dict[str, set[str]] = {}
    for one, other in links:
        joined = component.get(one, {one}) | component.get(other, {other})
        for name in joined:
            component[name] = joined
    return sorted({frozenset(names) for names in component.values()}, key=sorted)
