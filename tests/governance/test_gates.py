"""Gates: what the figures mean under a policy."""

import pytest

from governance.gates import SHARES, Metric, combine, judge
from governance.intervals import wilson
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


def test_one_question_may_break_a_bound_where_the_policy_tolerates_one() -> None:
    gates = {"general_lost": {"at_most": 0.05, "or_questions": 1}, "as_told": {"at_least": 0.9, "or_questions": 1}}
    rules = Policy.model_validate({"name": "p", "gates": gates})
    one, two = Metric(1 / 12, 12, 0.01, 0.35), Metric(2 / 12, 12, 0.05, 0.45)
    kept_but_one, kept_but_two = Metric(5 / 6, 6, 0.44, 0.97), Metric(4 / 6, 6, 0.3, 0.9)

    assert [result.verdict for result in judge(rules, {"general_lost": one, "as_told": kept_but_one})] == ["passed"] * 2
    failed = judge(rules, {"general_lost": two, "as_told": kept_but_two})
    assert [result.verdict for result in failed] == ["failed"] * 2
    assert "at most 0.05, or 1 question" in failed[0].explanation


def test_a_tolerated_question_is_no_proof_where_the_interval_decides() -> None:
    gates = {"general_lost": {"at_most": 0.05, "or_questions": 1}}
    rules = Policy.model_validate({"name": "p", "gates": gates, "evidence": {"judge_by": "interval"}})
    (result,) = judge(rules, {"general_lost": Metric(1 / 12, 12, 0.06, 0.35)})
    assert result.verdict == "undecided"


def test_a_gate_can_ask_for_another_number_of_questions() -> None:
    gates = {"leaks": {"at_most": 0, "min_questions": 1}, "as_told": {"at_least": 0.5, "min_questions": 30}}
    rules = Policy.model_validate({"name": "p", "gates": gates})
    metrics = {"leaks": Metric(1.0, 1, 1.0, 1.0), "as_told": Metric(1.0, 20, 0.84, 1.0)}
    assert [result.verdict for result in judge(rules, metrics)] == ["failed", "undecided"]


@pytest.mark.parametrize(
    ("name", "gate", "metric"),
    [
        ("as_told", {"at_least": 0.9}, Metric(1.0, 20, *wilson(20, 20))),
        ("general_lost", {"at_most": 0.05}, Metric(0.0, 31, *wilson(0, 31))),
        ("mean_answer_tokens_ratio", {"at_most": 1.5}, Metric(1.3, 50, 1.0, 1.6)),
    ],
)
def test_as_many_questions_as_an_undecided_gate_asks_for_would_decide(
    name: str, gate: dict[str, float], metric: Metric
) -> None:
    rules = Policy.model_validate({"name": "p", "gates": {name: gate}, "evidence": {"judge_by": "interval"}})
    (undecided,) = judge(rules, {name: metric})
    assert undecided.verdict == "undecided"
    n = int(undecided.explanation.split("about ")[1].split()[0])
    narrower = (metric.n / n) ** 0.5
    low, high = (
        wilson(metric.value * n, n)
        if name in SHARES
        else (metric.value - narrower * 0.3, metric.value + narrower * 0.3)
    )
    (decided,) = judge(rules, {name: Metric(metric.value, n, low, high)})
    assert n > metric.n
    assert decided.verdict == "passed"


def test_a_value_on_the_bound_is_never_decided_by_more_of_the_same() -> None:
    rules = policy(judge_by="interval")
    _, drift = judge(rules, {"general_kept": Metric(1.0, 90, 0.96, 1.0), "general_lost": Metric(0.2, 50, 0.1, 0.3)})
    assert "no number of questions would" in drift.explanation
