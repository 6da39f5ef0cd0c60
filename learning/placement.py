"""Where a question belongs: to an adapter or, outside of its scope, to the base model, and in which words it is put."""

from collections.abc import Sequence
from dataclasses import dataclass

from learning.prompts import ChatMessage


@dataclass(frozen=True)
class Placement:
    """`messages` are put to the model; with `read_as` they ask that taught question in place of what was asked.

    `adapter` is the one that was asked, None for the base model.
    """

    adapter: str | None
    in_scope: bool
    read_as: str | None
    messages: Sequence[ChatMessage]

    @property
    def routed(self) -> str | None:
        """The adapter whose weights answer; None for the base model's alone."""
        return self.adapter if self.in_scope else None
