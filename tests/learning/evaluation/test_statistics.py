import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.intervals import needed_for_mean, needed_for_share, wilson
from learning.evaluation.statistics import compare_means, mcnemar, mean, more_questions, paired_test, ratio

VALUES = st.lists(st.floats(-10, 10), min_size=1, max_size=40)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_wilson_interval_holds_the_share_and_stays_within_0_and_1(counts: tuple[int, int]) -> None:
    successes, n = counts
    low, high = wilson(successes, n)

    assert 0.0 <= low <= successes / n <= high <= 1.0


def test_the_wilson_interval_is_that_of_the_textbook() -> None:
    low, high = wilson(81, 263)  # Newcombe 1998, Statistics in Medicine 17, 857, table I

    assert math.isclose(low, 0.2553, abs_tol=5e-5)
    assert math.isclose(high, 0.3662, abs_tol=5e-5)


def test_mcnemar_is_exact() -> None:
    assert mcnemar(0, 0) == 1.0
    assert math.isclose(mcnemar(6, 0), 2 * 0.5**6)
    assert math.isclose(mcnemar(8, 2), 0.109375)


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 30))
@settings(deadline=None, max_examples=50)
def test_as_many_more_questions_as_are_asked_for_would_be_enough_and_half_as_many_would_not(
    gained: int, lost: int, same: int
) -> None:
    n = gained + lost + same
    needed = more_questions(n, gained, lost)
    if needed is None:
        assert gained == lost
        return

    def p_value(total: float) -> float:
        return mcnemar(round(gained * total / n), round(lost * total / n))

    assert p_value(1.1 * (n + needed) + 2) < 0.05
    assert needed < 20 or p_value(n + needed / 2) >= 0.05  # of fewer, rounding decides


def test_a_test_without_enough_evidence_says_how_many_more_questions_it_needs() -> None:
    few = paired_test("as_told", [False] * 3 + [True], [True] * 4)
    many = paired_test("as_told", [False] * 6, [True] * 6)
    even = paired_test("general", [True, False], [False, True])

    assert (few.gained, few.lost, few.enough, few.needed) == (3, 0, False, 4)
    assert (many.enough, many.needed) == (True, 0)
    assert (even.enough, even.needed) == (False, None)


@given(VALUES)
@settings(deadline=None, max_examples=30)
def test_a_mean_lies_in_its_interval_and_comes_out_the_same_again(values: list[float]) -> None:
    metric = mean(values)

    assert metric.low - 1e-9 <= metric.value <= metric.high + 1e-9
    assert min(values) - 1e-9 <= metric.low <= metric.high <= max(values) + 1e-9
    assert metric == mean(values)


def test_a_bootstrap_interval_is_as_wide_as_theory_says() -> None:
    values = [math.sin(at * 12.9898) for at in range(400)]
    spread = math.sqrt(sum(value**2 for value in values) / 400 - mean(values).value ** 2)

    assert mean(values).high - mean(values).low == pytest.approx(2 * 1.96 * spread / 20, rel=0.06)


def test_a_ratio_is_of_the_sums_and_its_interval_of_the_pairs() -> None:
    metric = ratio([10, 20, 30], [5, 10, 15])

    assert (metric.value, metric.low, metric.high, metric.n) == (0.5, 0.5, 0.5, 3)
    assert ratio([], []).value == 1.0
    assert ratio([0.0], [0.0]).value == 1.0


def test_a_difference_counts_when_its_interval_leaves_zero_out_and_there_are_enough_pairs() -> None:
    before = [0.0] * 12
    clear = compare_means("margin", before, [1.0 + at / 100 for at in range(12)])
    noisy = compare_means("margin", before, [3.0, -2.0] * 6)
    few = compare_means("margin", before[:4], [1.0, 1.1, 1.2, 1.3])

    assert (clear.enough, clear.needed) == (True, 0)
    assert not noisy.enough
    assert noisy.needed is not None
    assert noisy.needed > 12
    assert (few.enough, few.needed) == (False, 2)
    assert compare_means("margin", before, before).needed is None


def test_the_needed_number_of_questions_is_the_smallest_that_clears_the_bound() -> None:
    needed = needed_for_share(0.95, 0.9)
    assert needed is not None
    assert wilson(0.95 * needed, needed)[0] > 0.9
    assert wilson(0.95 * (needed - 1), needed - 1)[0] <= 0.9
    assert needed_for_share(0.9, 0.9) is None
    assert needed_for_mean(10, 1.0, 2.0, 0.0) == 40
    assert needed_for_mean(10, 0.0, 2.0, 0.0) is None
