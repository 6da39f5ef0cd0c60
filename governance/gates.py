"""Gates: what the figures of an evaluation report say under a policy. Pure: reads nothing, writes nothing."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from governance.policy import Evidence, Gate, Policy

GateVerdict = Literal["passed", "failed", "undecided"]

Z_95 = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution: two-sided 95 %."""


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


def _judge_gate(name: str, gate: Gate, metric: Metric | None, evidence: Evidence) -> GateResult:
    threshold = gate.at_most if gate.at_least is None else gate.at_least
    assert threshold is not None
    if metric is None:
        explanation = f"{name} was not measured: the report found nothing to ask. Not enough evidence."
        return GateResult(name, "undecided", explanation, 0.0, 0, 0.0, 0.0, threshold)
    verdict = _verdict(gate, metric, evidence)
    explanation = _sentence(name, gate, metric, verdict, evidence)
    return GateResult(name, verdict, explanation, metric.value, metric.n, metric.low, metric.high, threshold)


def _verdict(gate: Gate, metric: Metric, evidence: Evidence) -> GateVerdict:
    if metric.n < evidence.min_questions:
        return "undecided"
    if evidence.judge_by == "estimate":
        return "passed" if _keeps(gate, metric.value) else "failed"
    low_keeps, high_keeps = _keeps(gate, metric.low), _keeps(gate, metric.high)
    if low_keeps and high_keeps:
        return "passed"
    return "undecided" if low_keeps or high_keeps else "failed"


def _keeps(gate: Gate, value: float) -> bool:
    if gate.at_least is not None:
        return value >= gate.at_least
    assert gate.at_most is not None
    return value <= gate.at_most


def _sentence(name: str, gate: Gate, metric: Metric, verdict: GateVerdict, evidence: Evidence) -> str:
    bound = f"at least {gate.at_least:g}" if gate.at_least is not None else f"at most {gate.at_most:g}"
    measured = (
        f"{name} is {metric.value:.2f} over {metric.n} questions "
        f"(95 % interval {metric.low:.2f} to {metric.high:.2f}); asked for is {bound}"
    )
    if verdict != "undecided":
        return f"{measured}: {verdict}."
    return f"{measured}: not enough evidence; about {_questions_needed(gate, metric, evidence)} questions would decide."


def _questions_needed(gate: Gate, metric: Metric, evidence: Evidence) -> int:
    """Estimate the n at which a normal 95 % interval around this value would leave the bound out (Wald, rounded up)."""
    threshold = gate.at_most if gate.at_least is None else gate.at_least
    assert threshold is not None
    distance = abs(metric.value - threshold)
    spread = max(metric.value * (1.0 - metric.value), 0.01)
    if evidence.judge_by == "estimate":
        return evidence.min_questions
    needed = math.ceil(Z_95**2 * spread / max(distance, 0.01) ** 2)
    return max(needed, metric.n + 1, evidence.min_questions)
