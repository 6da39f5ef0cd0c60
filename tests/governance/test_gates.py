"""Gates: what the figures mean under a policy."""

import pytest

from governance.gates import Metric, combine, judge
from governance.policy import Evidence, Policy


def policy(**evidence: object) -> Policy:
    return Policy.model_validate(
        {
            "name": "p",
            "gates": {"general_kept": {"at_least": 0.9}, "general_lost": {"at_most": 0.2}},
            "evidence": evidence,
        }
    )


def verdicts(rules: Policy, kept: Metric, drift: Metric) -> list[str]:
    return [result.verdict for result in judge(rules, {"general_kept": kept, "general_lost": drift})]


def test_by_estimate_the_measured_value_decides_and_meeting_the_bound_is_enough() -> None:
    assert verdicts(policy(), Metric(0.9, 20, 0.7, 0.97), Metric(0.2, 20, 0.1, 0.3)) == ["passed", "passed"]
    assert verdicts(policy(), Metric(0.89, 20, 0.7, 0.97), Metric(0.21, 20, 0.1, 0.3)) == ["failed", "failed"]


def test_by_interval_a_bound_inside_the_interval_is_undecided() -> None:
    rules = policy(judge_by="interval")
    assert verdicts(rules, Metric(0.95, 400, 0.92, 0.97), Metric(0.1, 400, 0.05, 0.15)) == ["passed", "passed"]
    assert verdicts(rules, Metric(0.95, 40, 0.83, 0.99), Metric(0.1, 40, 0.05, 0.25)) == ["undecided", "undecided"]
    assert verdicts(rules, Metric(0.5, 40, 0.35, 0.65), Metric(0.6, 40, 0.4, 0.7)) == ["failed", "failed"]


@pytest.mark.parametrize("judge_by", ["estimate", "interval"])
def test_too_few_questions_decide_nothing_and_the_explanation_says_how_many_would(judge_by: str) -> None:
    rules = policy(judge_by=judge_by, min_questions=5)
    result, _ = judge(rules, {"general_kept": Metric(1.0, 4, 0.51, 1.0), "general_lost": Metric(0.0, 4, 0.0, 0.4)})
    assert result.verdict == "undecided"
    assert "not enough evidence" in result.explanation
    assert "questions would decide" in result.explanation


def test_a_figure_that_was_not_measured_is_no_evidence() -> None:
    kept, drift = judge(policy(), {"general_kept": Metric(1.0, 20, 0.84, 1.0)})
    assert kept.verdict == "passed"
    assert (drift.verdict, drift.n) == ("undecided", 0)
    assert "not measured" in drift.explanation


def test_one_failed_gate_rejects_and_undecided_ones_do_what_the_policy_says() -> None:
    good, few, bad = Metric(1.0, 20, 0.84, 1.0), Metric(1.0, 1, 0.2, 1.0), Metric(0.1, 20, 0.0, 0.3)
    drift = Metric(0.0, 20, 0.0, 0.1)
    rules = policy()
    passed, undecided, failed = (
        judge(rules, {"general_kept": kept, "general_lost": drift}) for kept in (good, few, bad)
    )
    propose, reject = Evidence(undecided="propose"), Evidence(undecided="reject")
    assert combine(passed, reject) == "propose"
    assert combine(undecided, propose) == "propose"
    assert combine(undecided, reject) == "reject"
    assert combine(failed, propose) == "reject"
    assert combine([*failed, *undecided], propose) == "reject"
