"""What a trace consists of, and how it is written as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["back", "forward"]
Kind = Literal[
    "answer", "adapter", "run", "data set", "row", "feedback", "person", "proposal", "decision", "break-glass",
    "audit record",
]  # fmt: skip
MORE = "and {count:,} more"


@dataclass(frozen=True)
class Node:
    """One thing: what it is, its id, a line about it, and in `children` where it comes from or what it led to.

    `erased`: words or files of it were erased, or it is not there any more. `again`: its children are shown further up.
    `more` is set where others of this kind are left out, and counts them; there is no id then.
    """

    kind: Kind
    id: str
    said: str
    erased: bool = False
    again: bool = False
    more: int = 0
    children: tuple["Node", ...] = ()

    def facts(self) -> dict[str, Any]:
        """Give all but the children as JSON has it."""
        return {"kind": self.kind, "id": self.id, "said": self.said, "erased": self.erased}

    def as_dict(self) -> dict[str, Any]:
        """Give the tree as JSON has it."""
        children = [child.as_dict() for child in self.children]
        return {**self.facts(), "again": self.again, "more": self.more, "children": children}


@dataclass(frozen=True)
class Trace:
    """What was asked about, with where it comes from and what it led to; None where that was not asked."""

    node: Node
    back: Sequence[Node] | None
    forward: Sequence[Node] | None

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON has it: a direction that was not asked for is left out."""
        sides = {"back": self.back, "forward": self.forward}
        given = {name: [node.as_dict() for node in side] for name, side in sides.items() if side is not None}
        return {**self.node.facts(), **given}


def more(kind: Kind, count: int) -> list[Node]:
    """Say how many others of a kind are left out; nothing where none are."""
    return [Node(kind, "", MORE.format(count=count), more=count)] if count > 0 else []
