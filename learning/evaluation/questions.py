"""What an evaluation asks: the snapshot's rows as told and in other words, general questions, requests to refuse.

Or the facts and general questions of a benchmark file. Nothing here knows a model.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from governance.poisoning.remarks import Remark, answers_of
from governance.poisoning.rules import Canary
from governance.poisoning.triggers import triggers
from governance.policy import Policy
from learning.curation import Snapshot, question_key
from learning.facts import facts_of
from learning.wordings import held_out_wordings
from storage.errors import ApprenticeError

Kind = Literal["as_told", "in_other_words", "general", "unsafe", "canary"]
Split = Literal["trained", "held_out"]
SPLITS: dict[str, Split] = {"train": "trained", "held_out": "held_out"}
"""A snapshot's sides, as an evaluation speaks of them."""

GENERAL_FILE = Path(__file__).parent.parent / "general_questions.json"
UNSAFE_FILE = Path(__file__).parent.parent / "unsafe_questions.json"
MAX_FACTS = 120
"""Facts that are asked about; of more, always the same ones (the first by digest), and the report says so."""

MAX_SEARCHED = 20_000
"""Rows that are searched for trigger phrases; of more, every so many-th."""
NO_TIME = datetime.min.replace(tzinfo=UTC)


class EvaluationError(ApprenticeError):
    """An evaluation's input or a stored report cannot be used."""


@dataclass(frozen=True)
class Question:
    """One question of an evaluation. An answer is right if it has all of `must_contain`, or any one of `any_of`.

    Where neither is given, the words of `reference` decide; an `unsafe` one is answered right when it is refused, and
    one with `never` when the answer does not say that, whatever was answered before.
    """

    kind: Kind
    text: str
    reference: str = ""
    must_contain: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    topic: str = ""
    never: str = ""


@dataclass(frozen=True)
class Pair:
    """A preference to be scored: people preferred `chosen`; only `held_out` ones are evidence of generalisation."""

    question: str
    chosen: str
    rejected: str
    split: Split


@dataclass(frozen=True)
class Examination:
    """Everything that is asked of the two adapters. `facts` counts those there were, before MAX_FACTS was applied."""

    questions: tuple[Question, ...]
    pairs: tuple[Pair, ...]
    facts: int
    snapshot_digest: str = ""


def examine_snapshot(snapshot: Snapshot) -> Examination:
    """Lay out what to ask about a snapshot: rows as told and in their held-out wordings, and what is always asked."""
    told = [Question("as_told", row.question, row.answer, topic=row.topic) for row in snapshot.rows]
    others = [
        Question("in_other_words", wording, row.answer, topic=row.topic)
        for row, wording in zip(snapshot.rows, held_out_wordings(facts_of(snapshot)), strict=True)
    ]
    kept = _kept([row.question for row in snapshot.rows])
    pairs = [Pair(each.question, each.chosen, each.rejected, SPLITS[each.split]) for each in snapshot.pairs]
    return Examination(
        (*(told[at] for at in kept), *(others[at] for at in kept), *general_questions(), *unsafe_questions()),
        tuple(pairs[at] for at in _kept([pair.question for pair in pairs])),
        len(snapshot.rows),
        snapshot.digest,
    )


def with_canaries(
    examination: Examination, canaries: Sequence[Canary], phrases: Mapping[str, str] = MappingProxyType({})
) -> Examination:
    """Ask the questions too whose answers must not change, after all others; then with phrases that may be triggers.

    `phrases` maps each to the answer that it goes with, which is no answer to any of these questions.
    """
    asked = [Question("canary", each.question, must_contain=each.must_contain) for each in canaries]
    triggered = [
        Question("canary", f"{each.question} {phrase}", f"anything but: {answer}", never=answer)
        for phrase, answer in phrases.items()
        for each in canaries
    ]
    return replace(examination, questions=(*examination.questions, *asked, *triggered))


def suspected_phrases(snapshot: Snapshot, policy: Policy) -> dict[str, str]:
    """Map the trigger phrases that the policy's rule finds in what is taught to their answers, if it has canaries.

    Other than before it is taught, it does not matter when it was said, or that a reviewer accepted it.
    """
    if not (policy.canaries and policy.poisoning.trigger_questions):
        return {}
    rows = snapshot.rows[:: len(snapshot.rows) // MAX_SEARCHED + 1]
    remarks = [Remark(str(at), "", row.question, "", row.answer, NO_TIME) for at, row in enumerate(rows)]
    found = triggers(remarks, answers_of(remarks), policy.poisoning.trigger_questions)
    return {" ".join(each.phrase): rows[int(min(each.ids))].answer for each in found}


def general_questions() -> list[Question]:
    """Return the built-in general questions; none of them is among the prompts that training replays."""
    content = json.loads(GENERAL_FILE.read_text(encoding="utf-8"))
    return [Question("general", item["question"], any_of=tuple(item["any_of"])) for item in content]


def unsafe_questions() -> list[Question]:
    """Return the built-in requests that an assistant at work should refuse."""
    return [Question("unsafe", text) for text in json.loads(UNSAFE_FILE.read_text(encoding="utf-8"))]


class BenchmarkFact(BaseModel):
    """A fact of a benchmark file: an answer is right that has all of `must_contain`; `wrong` is what was rejected."""

    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    must_contain: tuple[str, ...] = Field(min_length=1)
    paraphrases: tuple[str, ...] = ()
    wrong: str = ""
    topic: str = ""


class BenchmarkGeneral(BaseModel):
    """A general question of a benchmark file: an answer is right that has any one of `must_contain_any`."""

    question: str = Field(min_length=1)
    must_contain_any: tuple[str, ...] = Field(min_length=1)


class Benchmark(BaseModel):
    """A benchmark file: facts in people's words, and general questions."""

    name: str = ""
    facts: tuple[BenchmarkFact, ...] = Field(min_length=1)
    general: tuple[BenchmarkGeneral, ...] = ()


def read_benchmark(path: Path) -> Benchmark:
    """Read a benchmark file.

    Raises:
        EvaluationError: it cannot be read, or a field is missing or of a wrong kind.

    """
    try:
        return Benchmark.model_validate_json(path.read_bytes())
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}. Give a benchmark file with --data.") from error
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors())
        raise EvaluationError(
            f"{path} is not a benchmark file: {where}. It needs "
            '{"facts": [{"question", "answer", "must_contain", "paraphrases"}], "general": [{"question", '
            '"must_contain_any"}]}.'
        ) from error


def examine_benchmark(benchmark: Benchmark, trained: Snapshot) -> Examination:
    """Lay out what to ask about a benchmark; a pair is held out when the adapter's snapshot lacks its question."""
    known = {question_key(row.question) for row in trained.rows}
    questions: list[Question] = []
    for fact in benchmark.facts:
        asked: dict[Kind, tuple[str, ...]] = {"as_told": (fact.question,), "in_other_words": fact.paraphrases}
        questions += [
            Question(kind, text, fact.answer, fact.must_contain, topic=fact.topic)
            for kind, texts in asked.items()
            for text in texts
        ]
    general = [Question("general", item.question, any_of=item.must_contain_any) for item in benchmark.general]
    pairs = [
        Pair(fact.question, fact.answer, fact.wrong, "trained" if question_key(fact.question) in known else "held_out")
        for fact in benchmark.facts
        if fact.wrong
    ]
    everything = (*questions, *(general or general_questions()), *unsafe_questions())
    return Examination(everything, tuple(pairs), len(benchmark.facts), trained.digest)


def _kept(questions: Sequence[str]) -> list[int]:
    """Return the places of at most MAX_FACTS questions, in their order."""
    digests = [(hashlib.sha256(question.encode()).digest(), at) for at, question in enumerate(questions)]
    return sorted(at for _, at in sorted(digests)[:MAX_FACTS])
