"""Gates: what the figures of an evaluation report say under a policy. Pure: reads nothing, writes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from governance.intervals import needed_for_mean, needed_for_share
from governance.policy import Evidence, Gate, Policy, ShareFigure

GateVerdict = Literal["passed", "failed", "undecided"]

SHARES = frozenset(get_args(ShareFigure))
COUNTS = frozenset({"leaks"})
"""Figures that count what was found in all answers: there is nothing to estimate, and so no interval."""


@dataclass(frozen=True)
class Metric:
    """One figure of a report: its value, from `n` questions, with the bounds of its 95 % interval."""

    value: float
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class GateResult:
    """What one gate says; `explanation` is a sentence for the approver. Figures are NaN-free: unmeasured ones are 0."""

    name: str
    verdict: GateVerdict
    explanation: str
    value: float
    n: int
    low: float
    high: float
    threshold: float


def judge(policy: Policy, metrics: Mapping[str, Metric]) -> list[GateResult]:
    """Judge every gate of the policy, in its order; a figure that was not measured is undecided."""
    return [_judge_gate(name, gate, metrics.get(name), policy.evidence) for name, gate in policy.gates.items()]


def combine(results: Iterable[GateResult], evidence: Evidence) -> Literal["propose", "reject"]:
    """Say what follows from the gates together: one failed gate rejects; undecided ones do what the policy says."""
    verdicts = {result.verdict for result in results}
    if "failed" in verdicts:
        return "reject"
    return evidence.undecided if "undecided" in verdicts else "propose"


def worst_first(results: Iterable[GateResult]) -> list[GateResult]:
    """Return failed gates, then undecided ones, then those that passed, each in the policy's order."""
    return sorted(results, key=lambda result: ("failed", "undecided", "passed").index(result.verdict))


def _judge_gate(name: str, gate: Gate, metric: Metric | None, evidence: Evidence) -> GateResult:
    if metric is None or metric.n == 0:
        explanation = f"{name} was not measured: the evaluation found nothing to ask. Not enough evidence."
        return GateResult(name, "undecided", explanation, 0.0, 0, 0.0, 0.0, gate.bound)
    verdict = _verdict(gate, metric, evidence)
    explanation = _sentence(name, gate, metric, verdict, evidence)
    return GateResult(name, verdict, explanation, metric.value, metric.n, metric.low, metric.high, gate.bound)


def _verdict(gate: Gate, metric: Metric, evidence: Evidence) -> GateVerdict:
    if metric.n < _min_questions(gate, evidence):
        return "undecided"
    if evidence.judge_by == "estimate":
        return "passed" if _keeps(gate, metric.value) or _tolerated(gate, metric) else "failed"
    low_keeps, high_keeps = _keeps(gate, metric.low), _keeps(gate, metric.high)
    if low_keeps and high_keeps:
        return "passed"
    return "undecided" if low_keeps or high_keeps or _tolerated(gate, metric) else "failed"


def _keeps(gate: Gate, value: float) -> bool:
    return value <= gate.bound if gate.at_least is None else value >= gate.bound


def _tolerated(gate: Gate, metric: Metric) -> bool:
    """Tell whether so few questions break the bound that the policy lets them, whatever share they are."""
    bad = metric.value if gate.at_least is None else 1.0 - metric.value
    return gate.or_questions > 0 and round(bad * metric.n) <= gate.or_questions


def _min_questions(gate: Gate, evidence: Evidence) -> int:
    return evidence.min_questions if gate.min_questions is None else gate.min_questions


def _sentence(name: str, gate: Gate, metric: Metric, verdict: GateVerdict, evidence: Evidence) -> str:
    bound = f"at {'most' if gate.at_least is None else 'least'} {gate.bound:g}"
    if gate.or_questions:
        bound += f", or {gate.or_questions} question{'s' * (gate.or_questions > 1)}"
    measured = f"{_measured(name, metric)}; asked for is {bound}"
    if verdict != "undecided":
        return f"{measured}: {verdict}."
    needed = _questions_needed(name, gate, metric, evidence)
    hope = f"about {needed} questions would decide" if needed else "no number of questions would, as near as it is"
    return f"{measured}: not enough evidence; {hope}."


def _measured(name: str, metric: Metric) -> str:
    if name in COUNTS:
        return f"{name} is {metric.value:g} in {metric.n} answers"
    form = ".2f" if name in SHARES else ".3f"
    return (
        f"{name} is {metric.value:{form}} over {metric.n} question{'s' * (metric.n != 1)} "
        f"(95 % interval {metric.low:{form}} to {metric.high:{form}})"
    )


def _questions_needed(name: str, gate: Gate, metric: Metric, evidence: Evidence) -> int | None:
    """Estimate the n, if the value stays, at which its interval would leave the bound out; None when none would."""
    least = _min_questions(gate, evidence)
    if evidence.judge_by == "estimate":
        return least
    if name in SHARES:
        needed = needed_for_share(metric.value, gate.bound)
    else:
        side = metric.high - metric.value if gate.bound > metric.value else metric.value - metric.low
        needed = needed_for_mean(metric.n, metric.value, side, gate.bound)
    return None if needed is None else max(needed, metric.n + 1, least)
