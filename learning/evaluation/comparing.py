"""The five questions of an evaluation, asked of two adapters and put into one report.

Does it answer what it was told, prefer what people preferred, know what it knew, refuse and keep secret what it should,
and answer as fast and as briefly as before? Nothing here knows the engine: adapters are asked through `Subject`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from governance.gates import Metric
from learning.evaluation.judging import is_right
from learning.evaluation.private_data import Datum, masked
from learning.evaluation.questions import EvaluationError, Examination, Kind, Pair, Question, Split
from learning.evaluation.report import Change, Judged, Leak, Report, ScoredPair, TopicShare
from learning.evaluation.statistics import Comparison, compare_means, mean, paired_test, ratio, share
from learning.prompts import Exchange

MAX_PROBES = 20
"""Withheld questions that are asked to see whether a datum comes out."""


@dataclass(frozen=True)
class Answered:
    """An answer, its length in tokens, and the seconds from its first token to its last (None: it was remembered)."""

    text: str
    tokens: int
    seconds: float | None = None


class Subject(Protocol):
    """An adapter, or the base model, as an evaluation sees it."""

    @property
    def name(self) -> str:
        """The adapter's digest, or "base"."""

    def answer(self, questions: Sequence[str]) -> Sequence[Answered]:
        """Answer each question."""

    def likelihoods(self, exchanges: Sequence[Exchange]) -> Sequence[float]:
        """Return each given answer's log-probability, in nats a token."""

    def divergences(self, exchanges: Sequence[Exchange]) -> Sequence[float]:
        """Return KL(base || this) over each given answer, in nats a token."""


def evaluate(
    examination: Examination, after: Subject, before: Subject, base: Subject, guarded: Sequence[Datum] = ()
) -> Report:
    """Ask both adapters the same questions, judge both, and look for guarded data in what the new one says.

    Raises:
        EvaluationError: there is nothing to ask, or an adapter did not answer every question.

    """
    if not examination.questions:
        raise EvaluationError("there are no questions to evaluate with. Build a snapshot with at least one row first.")
    judged = judge_answers(examination.questions, before, after)
    pairs = score_pairs(examination.pairs, before, after)
    divergences = after.divergences(base_exchanges(examination.questions, base))
    leaks = find_leaks(judged, guarded, after)
    comparisons = [*_preferences(pairs), *_efforts(judged)]
    groups = _by_kind(judged)
    return Report(
        adapter=after.name,
        against=before.name,
        snapshot_digest=examination.snapshot_digest,
        facts=examination.facts,
        metrics={
            **_answer_metrics(groups),
            **_pair_metrics(pairs),
            "general_kl": mean(divergences),
            "leaks": _count(leaks, len(judged)),
            **_effort_metrics(judged),
        },
        before=_before_metrics(groups, pairs),
        tests=tuple(
            paired_test(kind, [item.before_right for item in group], [item.after_right for item in group])
            for kind, group in groups.items()
        ),
        comparisons=tuple(comparisons),
        changes=tuple(_change(item) for item in _masked(judged, guarded) if item.before_right != item.after_right),
        answers=tuple(_masked(judged, guarded)),
        pairs=tuple(_masked_pair(pair, guarded) for pair in pairs),
        topics=tuple(_topic_shares(judged)),
        guarded=len(guarded),
        leaks=tuple(leaks),
    )


def judge_answers(questions: Sequence[Question], before: Subject, after: Subject) -> list[Judged]:
    """Ask both adapters and judge both answers to each question."""
    texts = [question.text for question in questions]
    answers = zip(questions, _ask(before, texts), _ask(after, texts), strict=True)
    return [
        Judged(
            question.kind, question.text, question.reference or " or ".join(question.any_of or question.must_contain),
            old.text, new.text, bool(question.never) or is_right(question, old.text), is_right(question, new.text),
            question.topic,
            old.tokens, new.tokens, old.seconds, new.seconds,
        )
        for question, old, new in answers
    ]  # fmt: skip


def score_pairs(pairs: Sequence[Pair], before: Subject, after: Subject) -> list[ScoredPair]:
    """Return each pair with its margin under both adapters."""
    exchanges = [
        Exchange(question=pair.question, answer=answer) for pair in pairs for answer in (pair.chosen, pair.rejected)
    ]
    old, new = _margins(before, exchanges), _margins(after, exchanges)
    return [
        ScoredPair(pair.question, pair.chosen, pair.rejected, pair.split, first, second)
        for pair, first, second in zip(pairs, old, new, strict=True)
    ]


def base_exchanges(questions: Sequence[Question], base: Subject) -> list[Exchange]:
    """Return the general questions with the base model's own answers, over which drift from it is measured."""
    general = [question.text for question in questions if question.kind == "general"]
    answers = zip(general, _ask(base, general), strict=True)
    return [Exchange(question=text, answer=answer.text) for text, answer in answers if answer.text]


def find_leaks(judged: Iterable[Judged], guarded: Sequence[Datum], after: Subject) -> list[Leak]:
    """Look for guarded data in all new answers, and in those to the questions that the data were said about."""
    if not guarded:
        return []
    said = [(item.question, item.after) for item in judged]
    asked = {question for question, _ in said}
    probes = [text for text in dict.fromkeys(datum.question for datum in guarded) if text and text not in asked]
    probes = probes[:MAX_PROBES]
    said += [("", answer.text) for answer in _ask(after, probes)] if probes else []
    return [
        Leak(datum.kind, datum.fingerprint, masked(question, guarded))
        for datum in guarded
        for question, answer in said
        if datum.occurs_in(answer)
    ]


def _ask(subject: Subject, texts: Sequence[str]) -> Sequence[Answered]:
    answers = subject.answer(texts)
    if len(answers) != len(texts):
        raise EvaluationError(f"{len(texts)} questions got {len(answers)} answers. Evaluate again.")
    return answers


def _margins(subject: Subject, exchanges: Sequence[Exchange]) -> list[float]:
    scores = subject.likelihoods(exchanges) if exchanges else []
    return [chosen - rejected for chosen, rejected in zip(scores[::2], scores[1::2], strict=True)]


def _by_kind(judged: Iterable[Judged]) -> dict[Kind, list[Judged]]:
    groups: dict[Kind, list[Judged]] = {}
    for item in judged:
        groups.setdefault(item.kind, []).append(item)
    return groups


def _answer_metrics(groups: dict[Kind, list[Judged]]) -> dict[str, Metric]:
    figures = {
        _SHARE_OF[kind]: share([item.after_right for item in group])
        for kind, group in groups.items()
        if kind != "general"
    }
    known = [item.after_right for item in groups.get("general", []) if item.before_right]
    refused = [item.after_right for item in groups.get("unsafe", []) if item.before_right]
    lost = [not right for right in known]
    if "canary" in groups:
        figures["canaries_lost"] = share([not item.after_right for item in groups["canary"] if item.before_right])
    return figures | {
        "general_kept": share(known), "general_lost": share(lost), "refusals_kept": share(refused)
    }  # fmt: skip


_SHARE_OF: dict[Kind, str] = {
    "as_told": "as_told", "in_other_words": "in_other_words", "unsafe": "refused", "canary": "canaries_right"
}  # fmt: skip


def _pair_metrics(pairs: Sequence[ScoredPair]) -> dict[str, Metric]:
    held_out, trained = _of(pairs, "held_out"), _of(pairs, "trained")
    figures = {}
    if held_out:
        figures["preferred"] = share([pair.after_margin > 0 for pair in held_out])
        figures["preference_gain"] = mean([pair.after_margin - pair.before_margin for pair in held_out])
    if trained:
        figures["preferred_as_trained"] = share([pair.after_margin > 0 for pair in trained])
    return figures


def _effort_metrics(judged: Sequence[Judged]) -> dict[str, Metric]:
    timed = _timed(judged)
    figures = {
        "mean_answer_tokens_ratio": ratio(
            [item.before_tokens for item in judged], [item.after_tokens for item in judged]
        )
    }
    if timed:
        figures["mean_answer_seconds_ratio"] = ratio([old for old, _ in timed], [new for _, new in timed])
    return figures


def _before_metrics(groups: dict[Kind, list[Judged]], pairs: Sequence[ScoredPair]) -> dict[str, Metric]:
    figures = {
        _SHARE_OF.get(kind, kind): share([item.before_right for item in group]) for kind, group in groups.items()
    }
    for name, split in _PREFERRED.items():
        if of_split := _of(pairs, split):
            figures[name] = share([pair.before_margin > 0 for pair in of_split])
    return figures


_PREFERRED: dict[str, Split] = {"preferred": "held_out", "preferred_as_trained": "trained"}


def _preferences(pairs: Sequence[ScoredPair]) -> list[Comparison]:
    names: dict[str, Split] = {"preference_margin": "held_out", "preference_margin_as_trained": "trained"}
    groups = {name: _of(pairs, split) for name, split in names.items()}
    return [
        compare_means(name, [pair.before_margin for pair in group], [pair.after_margin for pair in group])
        for name, group in groups.items()
        if group
    ]


def _efforts(judged: Sequence[Judged]) -> list[Comparison]:
    timed = _timed(judged)
    tokens = compare_means(
        "answer_tokens", [item.before_tokens for item in judged], [item.after_tokens for item in judged]
    )
    seconds = [compare_means("answer_seconds", [old for old, _ in timed], [new for _, new in timed])] if timed else []
    return [tokens, *seconds]


def _timed(judged: Iterable[Judged]) -> list[tuple[float, float]]:
    """Return the seconds before and after of the answers that were both made in this evaluation."""
    return [
        (item.before_seconds, item.after_seconds)
        for item in judged
        if item.before_seconds is not None and item.after_seconds is not None
    ]


def _of(pairs: Iterable[ScoredPair], split: Split) -> list[ScoredPair]:
    return [pair for pair in pairs if pair.split == split]


def _topic_shares(judged: Sequence[Judged]) -> list[TopicShare]:
    topics = sorted({item.topic for item in judged if item.topic})
    return [
        TopicShare(
            topic, kind, share([item.before_right for item in group]), share([item.after_right for item in group])
        )
        for topic in topics
        for kind, group in _by_kind(item for item in judged if item.topic == topic).items()
    ]


def _count(leaks: Sequence[Leak], answers: int) -> Metric:
    """Return how many data came out of so many answers: a count of what was found, so its interval is itself."""
    found = float(len({leak.fingerprint for leak in leaks}))
    return Metric(found, answers, found, found)


def _masked(judged: Iterable[Judged], guarded: Sequence[Datum]) -> list[Judged]:
    return [
        replace(
            item,
            question=masked(item.question, guarded),
            expected=masked(item.expected, guarded),
            before=masked(item.before, guarded),
            after=masked(item.after, guarded),
        )
        for item in judged
    ]


def _masked_pair(pair: ScoredPair, guarded: Sequence[Datum]) -> ScoredPair:
    return replace(
        pair,
        question=masked(pair.question, guarded),
        chosen=masked(pair.chosen, guarded),
        rejected=masked(pair.rejected, guarded),
    )


def _change(item: Judged) -> Change:
    return Change(
        kind=item.kind, question=item.question, expected=item.expected, before=item.before, after=item.after,
        verdict="gained" if item.after_right else "lost",
    )  # fmt: skip
