"""What one policy changes of another: in plain words for whoever decides, and key by key, so that all is there."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from governance.policy import Policy
from governance.policy_words import explain_policy

ABSENT = "(not given)"


@dataclass(frozen=True)
class Difference:
    """`no_longer` and `from_now_on` are sentences; `keys` are lines such as `approval.quorum: 1 -> 2`."""

    no_longer: tuple[str, ...]
    from_now_on: tuple[str, ...]
    keys: tuple[str, ...]


def compare_policies(old: Policy, new: Policy) -> Difference:
    """Say what would be another under the new policy."""
    before, after = explain_policy(old), explain_policy(new)
    return Difference(
        tuple(each for each in before if each not in after),
        tuple(each for each in after if each not in before),
        tuple(_changed_keys(old, new)),
    )


def _changed_keys(old: Policy, new: Policy) -> Iterator[str]:
    before, after = (dict(_values(json.loads(each.canonical))) for each in (old, new))
    for key in sorted({*before, *after}):
        left, right = before.get(key, ABSENT), after.get(key, ABSENT)
        if left != right:
            yield f"{key}: {left} -> {right}"


def _values(section: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """Give each key with its value as JSON; a section without keys is one itself."""
    for name, value in section.items():
        if isinstance(value, dict) and value:
            yield from _values(value, f"{path}{name}.")
        elif value is not None:
            yield f"{path}{name}", json.dumps(value, ensure_ascii=False)
