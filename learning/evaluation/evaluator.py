"""Evaluates adapters with an engine: what the pipeline and the command line both call."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from learning.engine import Engine
from learning.evaluation.comparing import evaluate
from learning.evaluation.private_data import Datum, guarded_data
from learning.evaluation.questions import Examination
from learning.evaluation.report import Report
from learning.evaluation.subjects import EngineSubject, OnProgress
from storage.feedback import Feedback

FIXED_KINDS = {"general", "unsafe"}


@dataclass(frozen=True)
class Evaluator:
    """What an evaluation needs besides the two adapters, which the engine must have loaded."""

    engine: Engine
    system_prompt: str
    cache_folder: Path

    def evaluate(
        self,
        examination: Examination,
        adapter: str | None,
        against: str | None,
        guarded: list[Datum],
        tell: OnProgress,
    ) -> Report:
        """Compare an adapter with another one, or with the base model (None).

        `tell` hears the phase, what is done and of how many; an exception that it raises ends the evaluation.

        Raises:
            EvaluationError: there is nothing to ask.
            EngineError: an adapter is not loaded.

        """
        fixed = frozenset(question.text for question in examination.questions if question.kind in FIXED_KINDS)

        def subject(digest: str | None, phase: str) -> EngineSubject:
            return EngineSubject(self.engine, digest, self.system_prompt, self.cache_folder, fixed, phase, tell)

        return evaluate(
            examination,
            after=subject(adapter, "asking the adapter"),
            before=subject(against, "asking what it is compared with"),
            base=subject(None, "asking the base model"),
            guarded=guarded,
        )


def guarded_in(feedback: Iterable[Feedback]) -> list[Datum]:
    """Return the secrets and personal data of feedback that was private or not accepted, and of no other."""
    withheld: list[tuple[str, str]] = []
    public: list[str] = []
    for item in feedback:
        if item.state == "accepted" and not item.private:
            public += [item.question, item.text]
        else:
            withheld.append((item.question, item.text))
    return guarded_data(withheld, public)
