"""How many records each person, or topic, may keep so that none has more than its share."""

from collections.abc import Mapping

from governance.policy import CurationRules
from storage.workbench import Holder


def cap(held: Mapping[str | None, int], holder: Holder, rules: CurationRules) -> int | None:
    """Return the most that anybody keeps, None when nobody has to give anything up.

    `held` maps each holder to its records; those under None are nobody's alone, stay, and count in the whole. The
    result is the largest c with c <= share * (others + sum of min(held, c)), but not below `rules.always_kept`.
    """
    share = rules.max_person_share if holder == "person" else rules.max_topic_share
    own = [count for name, count in held.items() if name is not None]
    most = max(own, default=0)
    if len(own) < rules.cap_from or most <= rules.always_kept or _fits(most, own, held.get(None, 0), share):
        return None
    low, high = 0, most  # what fits is an interval from 0 on, as the right side is concave in c
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _fits(middle, own, held.get(None, 0), share) else (low, middle)
    return max(low, rules.always_kept)


def _fits(level: int, own: list[int], others: int, share: float) -> bool:
    return level <= share * (others + sum(min(count, level) for count in own))
