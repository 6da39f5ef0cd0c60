"""The test that may be looked at after every answer."""

import math

import numpy as np
import pytest

from governance.sequential import Counts, evidence_of_higher, rate_interval

STREAMS, LOOKS = 300, 120


def first_alarm(new_rate: float, old: Counts, seed: int, alpha: float, margin: float = 0.0) -> int | None:
    """Return after how many answers the test first rejects; None when it does not within all looks."""
    hits = np.random.default_rng(seed).random(LOOKS) < new_rate
    for n in range(1, LOOKS + 1):
        if evidence_of_higher(Counts(int(hits[:n].sum()), n), old, margin) >= 1 / alpha:
            return n
    return None


def old_counts(rate: float, n: int, seed: int) -> Counts:
    return Counts(int(np.random.default_rng(seed).binomial(n, rate)), n)


@pytest.mark.parametrize(("rate", "margin"), [(0.1, 0.0), (0.5, 0.0), (0.2, 0.1)])
def test_whoever_looks_after_every_answer_takes_a_good_adapter_out_no_more_often_than_the_policy_allows(
    rate: float, margin: float
) -> None:
    alpha = 0.1
    alarms = [
        first_alarm(rate + margin, old_counts(rate, 60, seed), STREAMS + seed, alpha, margin) is not None
        for seed in range(STREAMS)
    ]
    assert sum(alarms) / STREAMS <= alpha


def test_one_that_is_much_worse_is_found_soon() -> None:
    found = [first_alarm(0.6, old_counts(0.1, 60, seed), STREAMS + seed, 0.01) for seed in range(50)]
    assert None not in found
    assert float(np.median([each or 0 for each in found])) <= 20


def test_a_difference_within_the_margin_is_no_evidence() -> None:
    new, old = Counts(60, 200), Counts(20, 200)
    assert evidence_of_higher(new, old, margin=0.2) < 1
    assert evidence_of_higher(new, old, margin=0.0) > 1_000


def test_without_results_nothing_is_known() -> None:
    assert evidence_of_higher(Counts(0, 0), Counts(0, 0)) == pytest.approx(1.0)
    assert rate_interval(Counts(0, 0), 0.05) == (0.0, 1.0)


def test_a_single_result_is_weighed_as_by_hand() -> None:
    # The prior gives one hit the probability 1/2; the likeliest pair of equal rates gives it 1.
    assert evidence_of_higher(Counts(1, 1), Counts(0, 0)) == pytest.approx(0.5)
    # One hit against one miss: 1/2 * 1/2 over max q(1 - q) = 1/4.
    assert evidence_of_higher(Counts(1, 1), Counts(0, 1)) == pytest.approx(1.0)


@pytest.mark.parametrize("counts", [Counts(0, 20), Counts(20, 20), Counts(7, 20), Counts(70, 200)])
def test_the_interval_ends_where_the_evidence_against_a_rate_reaches_its_limit(counts: Counts) -> None:
    low, high = rate_interval(counts, 0.05)
    assert low <= counts.rate <= high
    log_prior = math.lgamma(0.5 + counts.hits) + math.lgamma(0.5 + counts.n - counts.hits)
    log_prior -= math.lgamma(1.0 + counts.n) + math.log(math.pi)
    for end in {low, high} - {0.0, 1.0}:
        likelihood = counts.hits * math.log(end) + (counts.n - counts.hits) * math.log(1 - end)
        assert math.exp(log_prior - likelihood) == pytest.approx(20, rel=1e-3)


def test_more_answers_narrow_the_interval() -> None:
    few, many = rate_interval(Counts(7, 20), 0.05), rate_interval(Counts(70, 200), 0.05)
    assert few[0] < many[0] < many[1] < few[1]
