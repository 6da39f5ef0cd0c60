"""The made-up company: its handbook of facts that no model knows, and what counts as a right answer."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

HANDBOOK = Path(__file__).parent / "handbook.json"


class Fact(BaseModel):
    """One fact of the handbook; the form is that of the learning benchmark."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    question: str
    answer: str
    must_contain: tuple[str, ...]
    paraphrases: tuple[str, ...]

    @property
    def in_other_words(self) -> str:
        """The question as somebody else would ask it; training never sees it."""
        return self.paraphrases[0]

    def is_right(self, answer: str) -> bool:
        """Whether an answer says what the handbook says: it contains every needed string, ignoring case."""
        return all(needed.casefold() in answer.casefold() for needed in self.must_contain)


def read_handbook() -> Sequence[Fact]:
    """Return the handbook's facts."""
    content = json.loads(HANDBOOK.read_text(encoding="utf-8"))
    return [Fact.model_validate(fact) for fact in content["facts"]]
