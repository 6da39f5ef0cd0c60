"""How many records each person, group that the policy names, or topic, may keep so that none has more than its share.

People who again and again stand behind the same records, and nobody else with them, count as one person.
"""

from collections.abc import Iterable, Mapping

from governance.poisoning.groups import groups_of
from governance.policy import CurationRules
from storage.workbench import Holder, Workbench

GROUP_FROM = 3
"""Records that people share before they count as one: once or twice is agreement, not a habit."""


def count_groups_as_one(bench: Workbench) -> None:
    """Find who belongs together, as `governance.poisoning.groups` does, and let their records count as one person's."""
    groups = groups_of(bench.shared_by_pairs(GROUP_FROM), bench.said_by_each(), GROUP_FROM)
    bench.count_as_one((person, min(group)) for group in groups for person in group)


def groups_by_person(rules: CurationRules) -> dict[str, str]:
    """Map who is named in a group of the policy to it."""
    return {person: group for group, people in rules.groups.items() for person in people}


def common_group(people: Iterable[str], groups: Mapping[str, str]) -> str | None:
    """Return the group that all these people belong to, by person id or the Slack user id in it; None where none is."""
    found = {groups.get(person) or groups.get(person.rpartition("/")[2]) for person in people}
    return found.pop() if len(found) == 1 else None


def cap(held: Mapping[str | None, int], holder: Holder, rules: CurationRules, people: int = 0) -> int | None:
    """Return the most that anybody keeps, None when nobody has to give anything up.

    `held` maps each holder to its records; those under None are nobody's alone, stay, and count in the whole.
    `people` says how many contribute, where some of them count as one, or as a group. The result is the largest c with
    c <= share * (others + sum of min(held, c)), but not below `rules.always_kept`.
    """
    share = {
        "person": rules.max_person_share, "group": rules.max_group_share, "topic": rules.max_topic_share
    }[holder]  # fmt: skip
    own = [count for name, count in held.items() if name is not None]
    most = max(own, default=0)
    if (
        max(len(own), people) < rules.cap_from
        or most <= rules.always_kept
        or _fits(most, own, held.get(None, 0), share)
    ):
        return None
    low, high = 0, most  # what fits is an interval from 0 on, as the right side is concave in c
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _fits(middle, own, held.get(None, 0), share) else (low, middle)
    return max(low, rules.always_kept)


def _fits(level: int, own: list[int], others: int, share: float) -> bool:
    return level <= share * (others + sum(min(count, level) for count in own))
