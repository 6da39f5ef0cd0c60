"""Whether the new adapter answers what it was told, in any wording, and still knows what the serving one knew.

Pure: it is given functions that answer questions (new adapter, serving adapter) and returns a report in which each
figure carries its n and its 95 % interval, and each answer that changed sides is listed with both answers.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from governance.gates import Metric
from learning.curation import Snapshot, normalise
from learning.wordings import WORD, Fact, held_out_wordings
from storage.errors import ApprenticeError

Kind = Literal["as_told", "in_other_words", "general"]
Answer = Callable[[Sequence[str]], Sequence[str]]

GENERAL_FILE = Path(__file__).parent / "general_questions.json"
REPORT_FILE = "report.json"
Z_95 = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution."""
MIN_OVERLAP = 0.75
"""Share of a corrected answer's words that an answer must have where the correction has no figure, name or address."""


class EvaluationError(ApprenticeError):
    """An evaluation's input or a stored report cannot be used."""


@dataclass(frozen=True)
class Question:
    """One question of an evaluation. An answer is right if it has all of `must_contain`, or any one of `any_of`.

    Where neither is given, the words of `reference` decide (see `is_right`).
    """

    kind: Kind
    text: str
    reference: str = ""
    must_contain: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A question with both answers and whether each is right; `before` is the serving adapter, `after` the new one."""

    kind: Kind
    question: str
    expected: str
    before: str
    after: str
    before_right: bool
    after_right: bool


@dataclass(frozen=True)
class PairedTest:
    """Exact McNemar test over one kind of question: how many were gained and lost, and the two-sided p-value.

    `enough` is False where p is 0.05 or more; `needed` is then the number of questions that changed sides, all one
    way, that would be enough (6: 2 * 0.5**6 < 0.05).
    """

    kind: Kind
    n: int
    gained: int
    lost: int
    p_value: float
    enough: bool
    needed: int


class Change(BaseModel):
    """An answer that went from wrong to right or back; `verdict` is `gained` or `lost`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    question: str
    expected: str
    before: str
    after: str
    verdict: Literal["gained", "lost"]


class Report(BaseModel):
    """What an approver decides on. Shares are 0 to 1; intervals are Wilson's at 95 %."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    snapshot_digest: str
    metrics: dict[str, Metric]
    before: dict[str, Metric]
    tests: tuple[PairedTest, ...]
    changes: tuple[Change, ...]
    answers: tuple[Judged, ...]

    @property
    def digest(self) -> str:
        """SHA-256 in hex over the report's canonical JSON (RFC 8785)."""
        return hashlib.sha256(rfc8785.dumps(self.as_dict())).hexdigest()

    def gate_metrics(self) -> dict[str, Metric]:
        """Return the figures that gates judge, by the names that a policy uses."""
        return dict(self.metrics)

    def as_dict(self) -> dict[str, Any]:
        """Give the report as JSON has it."""
        return self.model_dump(mode="json")


def evaluate(snapshot: Snapshot, answer_after: Answer, answer_before: Answer) -> Report:
    """Ask both adapters `questions_for(snapshot)` and compare; `answer_before` is the serving adapter or the base."""
    return compare(questions_for(snapshot), answer_after, answer_before, snapshot.digest)


def compare(
    questions: Sequence[Question], answer_after: Answer, answer_before: Answer, snapshot_digest: str = ""
) -> Report:
    """Ask both adapters the same questions and judge both.

    Raises:
        EvaluationError: there is nothing to ask, or an adapter did not answer every question.

    """
    if not questions:
        raise EvaluationError("there are no questions to evaluate with. Build a snapshot with at least one row first.")
    texts = [question.text for question in questions]
    judged = _judge_all(questions, _ask(answer_before, texts), _ask(answer_after, texts))
    return Report(
        snapshot_digest=snapshot_digest,
        metrics=_metrics(judged),
        before={kind: share([item.before_right for item in group]) for kind, group in _by_kind(judged).items()},
        tests=tuple(paired_test(kind, group) for kind, group in _by_kind(judged).items()),
        changes=tuple(_change(item) for item in judged if item.before_right != item.after_right),
        answers=tuple(judged),
    )


def questions_for(snapshot: Snapshot, general: Sequence[Question] | None = None) -> list[Question]:
    """Return what to ask about a snapshot: each row as told, each in its held-out wording, and general questions.

    `general` replaces the built-in list.
    """
    facts = [Fact(row.question, row.answer) for row in snapshot.rows]
    told = [Question("as_told", row.question, row.answer) for row in snapshot.rows]
    others = [
        Question("in_other_words", wording, row.answer)
        for row, wording in zip(snapshot.rows, held_out_wordings(facts), strict=True)
    ]
    return [*told, *others, *(general if general is not None else general_questions())]


def general_questions() -> list[Question]:
    """Return the built-in general questions; none of them is among the prompts that training replays."""
    content = json.loads(GENERAL_FILE.read_text(encoding="utf-8"))
    return [Question("general", item["question"], any_of=tuple(item["any_of"])) for item in content]


def is_right(question: Question, answer: str) -> bool:
    """Judge an answer, ignoring case.

    Without given strings: every figure, name and address of the reference that the question does not have must be in
    the answer; a reference without any needs MIN_OVERLAP of its words.
    """
    folded = normalise(answer).casefold()
    if question.must_contain:
        return all(_has(folded, text) for text in question.must_contain)
    if question.any_of:
        return any(_has(folded, text) for text in question.any_of)
    news = _news(question.text, question.reference)
    if news:
        return all(_has(folded, word) for word in news)
    words = {word.casefold() for word in WORD.findall(question.reference)}
    return len(words & {word.casefold() for word in WORD.findall(answer)}) >= MIN_OVERLAP * len(words)


def share(rights: Sequence[bool]) -> Metric:
    """Return the share of true values with its Wilson interval; the share of nothing is 0 within 0 to 1."""
    low, high = wilson(sum(rights), len(rights))
    return Metric(sum(rights) / len(rights) if rights else 0.0, len(rights), low, high)


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22, 209)."""
    if n == 0:
        return 0.0, 1.0
    p, z2 = successes / n, Z_95**2
    middle, spread = p + z2 / (2 * n), Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low, high = (middle - spread) / (1 + z2 / n), (middle + spread) / (1 + z2 / n)
    return (0.0 if successes == 0 else max(0.0, low)), (1.0 if successes == n else min(1.0, high))


def mcnemar(gained: int, lost: int) -> float:
    """Return the exact two-sided p-value that gains and losses are equally likely (McNemar 1947, binomial form)."""
    n, k = gained + lost, min(gained, lost)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)


def paired_test(kind: Kind, judged: Sequence[Judged]) -> PairedTest:
    """Compare before and after over the same questions."""
    gained = sum(item.after_right and not item.before_right for item in judged)
    lost = sum(item.before_right and not item.after_right for item in judged)
    p_value = mcnemar(gained, lost)
    return PairedTest(kind, len(judged), gained, lost, p_value, p_value < 0.05, 6)  # noqa: PLR2004 - see PairedTest


def write_report(report: Report, folder: Path) -> None:
    """Write `report.json` into an existing folder."""
    (folder / REPORT_FILE).write_text(json.dumps(report.as_dict(), indent=1, ensure_ascii=False), encoding="utf-8")


def read_report(folder: Path) -> Report:
    """Read what `write_report` wrote.

    Raises:
        EvaluationError: it is missing or no report.

    """
    path = folder / REPORT_FILE
    try:
        return Report.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}. Evaluate the adapter again.") from error


def _ask(answer: Answer, texts: Sequence[str]) -> Sequence[str]:
    answers = answer(texts)
    if len(answers) != len(texts):
        raise EvaluationError(f"{len(texts)} questions got {len(answers)} answers. Evaluate again.")
    return answers


def _judge_all(questions: Sequence[Question], before: Sequence[str], after: Sequence[str]) -> list[Judged]:
    return [
        Judged(
            question.kind, question.text, question.reference or " or ".join(question.any_of or question.must_contain),
            old, new, is_right(question, old), is_right(question, new),
        )
        for question, old, new in zip(questions, before, after, strict=True)
    ]  # fmt: skip


def _by_kind(judged: Sequence[Judged]) -> dict[Kind, list[Judged]]:
    groups: dict[Kind, list[Judged]] = {}
    for item in judged:
        groups.setdefault(item.kind, []).append(item)
    return groups


def _metrics(judged: Sequence[Judged]) -> dict[str, Metric]:
    groups = _by_kind(judged)
    figures: dict[str, Metric] = {
        kind: share([item.after_right for item in group]) for kind, group in groups.items() if kind != "general"
    }
    if "general" in groups:
        known = [item for item in groups["general"] if item.before_right]
        figures["general_kept"] = share([item.after_right for item in known])
        figures["general_lost"] = share([not item.after_right for item in known])
    figures["mean_answer_words_ratio"] = _length_ratio(judged)
    return figures


def _length_ratio(judged: Sequence[Judged]) -> Metric:
    """Return how many times as many words the new answers have; without an interval, as it is not a share."""
    before = sum(len(item.before.split()) for item in judged)
    after = sum(len(item.after.split()) for item in judged)
    ratio = after / before if before else float(after > 0)
    return Metric(ratio, len(judged), ratio, ratio)


def _change(item: Judged) -> Change:
    return Change(
        kind=item.kind, question=item.question, expected=item.expected, before=item.before, after=item.after,
        verdict="gained" if item.after_right else "lost",
    )  # fmt: skip


def _has(folded_answer: str, text: str) -> bool:
    """Say whether the text occurs, not counting a figure within a longer one (7 is not in 17)."""
    pattern = re.escape(text.casefold())
    if text[:1].isdigit():
        pattern = rf"(?<![\d.,]){pattern}"
    if text[-1:].isdigit():
        pattern = rf"{pattern}(?!\d|[.,]\d)"
    return re.search(pattern, folded_answer) is not None


def _news(question: str, reference: str) -> list[str]:
    """Return figures, names and addresses that only the reference has; a first word's capital says nothing."""
    asked = {word.casefold() for word in WORD.findall(question)}
    words = WORD.findall(reference)
    return [
        word
        for at, word in enumerate(words)
        if word.casefold() not in asked and (re.search(r"[\d#@/:]|\w\.\w", word) or (at > 0 and word[:1].isupper()))
    ]
