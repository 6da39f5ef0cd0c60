"""Subjects whose answers and scores are given: what evaluation makes of them is what the tests look at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from learning.evaluation import Answered
from learning.prompts import Exchange


@dataclass
class Scripted:
    """Answers by question (`default` to others), and scores by answer."""

    answers: Mapping[str, str] = field(default_factory=dict)
    default: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    drift: float = 0.0
    name: str = "base"
    seconds: float | None = None

    def answer(self, questions: Sequence[str]) -> list[Answered]:
        said = [self.answers.get(question, self.default) for question in questions]
        return [Answered(text, len(text.split()), self.seconds) for text in said]

    def likelihoods(self, exchanges: Sequence[Exchange]) -> list[float]:
        return [self.scores[exchange["answer"]] for exchange in exchanges]

    def divergences(self, exchanges: Sequence[Exchange]) -> list[float]:
        return [self.drift] * len(exchanges)
