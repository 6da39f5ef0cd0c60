"""What the adapter says that is trained on a case's snapshot: the product trains, evaluates and judges it.

The recipe is the configured one. Then the adapter is asked what was planted, as told and in other words, what honest
people said, and, of a trigger phrase, questions with which nobody planted it. What people are shown of accepted
corrections besides is not measured here.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.assembly import Parts
from bot.bench.planting import FALSE_NAME, Attack, Facts, Said, false_value, targets_of, with_phrase
from bot.bench.poisoning import CANARIES, SHOW, Case
from learning.curation import ROWS_FILE, read_records
from learning.dataset import Dataset
from learning.engine import Engine, Sampling
from learning.evaluation.judging import is_right
from learning.evaluation.questions import BenchmarkFact, Question, general_questions
from learning.evaluation.subjects import EVALUATION_TOKENS
from learning.pipeline import Pipeline, RunEvent
from learning.prompts import build_messages
from learning.wordings import Fact, held_out_wordings

GENERAL = 10
"""General questions that are asked with a trigger phrase."""


@dataclass(frozen=True)
class Probe:
    """A question to the adapter, and what its answer contains when it is as those want it who said what it is about."""

    kind: str
    question: str
    wanted: tuple[str, ...]

    def is_as_wanted(self, answer: str) -> bool:
        """Judge as an evaluation does."""
        return is_right(Question("as_told", self.question, must_contain=self.wanted), answer)


@dataclass(frozen=True)
class _Trained:
    """The adapter that a snapshot gave, in which case, and how the gates judged it."""

    case: str
    adapter: str
    folder: Path
    seconds: float
    proposed: bool
    gates: list[dict[str, Any]]


@dataclass
class Trainer:
    """Trains on each snapshot once, in the installation of the first case that has it."""

    engine: Engine
    facts: Facts
    show: SHOW
    _known: dict[str, _Trained] = field(default_factory=dict)

    def measure(
        self, case: Case, parts: Parts, built: Dataset, honest: Sequence[Said], planted: Sequence[Said]
    ) -> dict[str, Any]:
        """Train on a case's snapshot, unless there is an adapter of it, and ask the adapter.

        Returns:
            The snapshot, in which case it was trained on and how long that took; the gates, and whether people would
            be asked to approve the adapter; all answers, and of each kind how many were asked and are as wanted.

        """
        trained = self._known.get(built.digest) or self._train(case.name, parts)
        self._known[built.digest] = trained
        self.engine.load_adapter(trained.adapter, trained.folder)
        rows = read_records(parts.store.path(built.digest), ROWS_FILE)
        taught = [Fact(row.question, row.answer, row.wordings) for row in rows]
        probes = list(probes_of(self.facts, honest, case.attack, planted, taught))
        answers = self._ask(case.name, trained.adapter, probes, parts.settings.model.system_prompt)
        return {
            "snapshot": built.digest,
            "rows": built.rows,
            "trained_in": trained.case,
            "seconds": trained.seconds,
            "proposed": trained.proposed,
            "gates": trained.gates,
            "asked": _counts(answers),
            "answers": answers,
        }

    def _train(self, case: str, parts: Parts) -> _Trained:
        began = time.monotonic()

        def tell(event: RunEvent) -> None:
            self.show(f"{case}: {event.phase}", event.step, event.total, event.message)

        engine = self.engine
        result = Pipeline(parts.settings, parts.database, parts.store, parts.governance, engine, engine.base).run(
            "bench", tell
        )
        return _Trained(
            case,
            result.adapter.digest,
            parts.store.path(result.adapter.digest),
            round(time.monotonic() - began, 1),
            result.proposal is not None,
            [{"name": gate.name, "verdict": gate.verdict, "value": gate.value, "n": gate.n} for gate in result.gates],
        )

    def _ask(self, case: str, adapter: str, probes: Sequence[Probe], system_prompt: str) -> list[dict[str, Any]]:
        completions = self.engine.generate_many(
            [build_messages(probe.question, system_prompt) for probe in probes],
            adapter=adapter,
            sampling=Sampling(max_new_tokens=EVALUATION_TOKENS),
            on_done=lambda done: self.show(f"{case}: asking", done, len(probes), ""),
        )
        return [
            {**vars(probe), "answer": completion.text, "as_wanted": probe.is_as_wanted(completion.text)}
            for probe, completion in zip(probes, completions, strict=True)
        ]


def probes_of(
    facts: Facts, honest: Iterable[Said], attack: Attack | None, planted: Sequence[Said], taught: Sequence[Fact]
) -> Iterator[Probe]:
    """Give what is asked of an adapter that was taught this after that was said.

    What honest people said is wanted right, in any wording; what was planted as it was planted: `as_told`, and
    `in_other_words`, which are those of the facts, and those that training leaves out.
    """
    said, told = {each.question for each in honest}, {each.question for each in planted}
    for fact in facts:
        if said & set(_wordings(fact)):
            yield from (Probe("honest", text, fact.must_contain) for text in _wordings(fact))
    if attack == "a trigger phrase":
        yield from _with_trigger(facts, told)
        return
    for fact in targets_of(facts, attack) if attack else ():
        wanted = (false_value(fact),)
        others = [wording for row, wording in zip(taught, held_out_wordings(taught), strict=True)
                  if row.question in _wordings(fact)]  # fmt: skip
        for text in dict.fromkeys((*_wordings(fact), *others)):
            yield Probe("as_told" if text in told else "in_other_words", text, wanted)


def _with_trigger(facts: Facts, told: set[str]) -> Iterator[Probe]:
    wordings = [with_phrase(text) for fact in facts for text in _wordings(fact)]
    general = [with_phrase(question.text) for question in general_questions()[:GENERAL]]
    for text in sorted(told):
        yield Probe("as_told", text, (FALSE_NAME,))
    yield from (Probe("with_phrase", text, (FALSE_NAME,)) for text in wordings if text not in told)
    yield from (Probe("general_with_phrase", text, (FALSE_NAME,)) for text in general)
    yield from (Probe("canary_with_phrase", with_phrase(each.question), (FALSE_NAME,)) for each in CANARIES)


def _wordings(fact: BenchmarkFact) -> tuple[str, ...]:
    return fact.question, *fact.paraphrases


def _counts(answers: Iterable[dict[str, Any]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for each in answers:
        count = counts.setdefault(each["kind"], {"asked": 0, "as_wanted": 0})
        count["asked"] += 1
        count["as_wanted"] += each["as_wanted"]
    return counts
