"""People who again and again say the same thing that nobody else says: who of them belongs together.

That independent people agree on what is true proves nothing; that they share what nobody else says is the strongest
sign of one source (Dong, Berti-Equille, Srivastava, "Integrating Conflicting Data: The Role of Source Dependence",
VLDB 2009). Who shares enough of it is linked, and what is linked is one group, as in SynchroTrap (Cao, Yang, Yu, Palow,
CCS 2014). Here a correction is given to the next one who asks, so even agreement is rarely said twice.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from governance.poisoning.findings import Finding
from governance.poisoning.remarks import Remark, alike, subjects_of

OVERLAP = 1 / 3
"""Of what the one who says less has said: two people who wrote a hundred things each meet three times by chance.

Who hides three planted facts has to write more than six honest ones of their own for them.
"""
MOST_SAYERS = 12
"""What more people say together is common knowledge, and makes none of them a pair."""
MOST_NEAR = 200
"""Corrections of one subject that are compared with each other."""

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


def colluding(remarks: list[Remark], questions: int) -> Iterator[Finding]:
    """Find groups who say the same about at least so many questions about which nobody outside says that too."""
    claims = _claims(remarks)
    sayers = [frozenset(each.person for each in claim) for claim in claims]
    said = Counter(person for people in sayers for person in people)
    for group in groups_of(shared_by_pairs(sayers), said, questions):
        own = [claim for claim, people in zip(claims, sayers, strict=True) if len(people) > 1 and people <= group]
        if len(own) >= questions:
            yield Finding("group", frozenset(each.id for claim in own for each in claim))


def _claims(remarks: list[Remark]) -> list[list[Remark]]:
    """Put together what says nearly the same about the same subject, however it was asked."""
    about: defaultdict[tuple[str, ...], list[Remark]] = defaultdict(list)
    for remark in remarks:
        for subject in subjects_of(remark.question):
            about[subject].append(remark)
    links = [
        (one.id, other.id)
        for near in about.values()
        if len(near) <= MOST_NEAR
        for one, other in combinations(near, 2)
        if alike(one.text, other.text)
    ]
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
