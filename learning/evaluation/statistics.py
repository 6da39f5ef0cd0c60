"""The statistics of an evaluation: shares, paired tests, paired bootstraps, each with what would be enough evidence.

Pure and seeded: the same answers give the same figures.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from governance.gates import Metric
from governance.intervals import Z_95, needed_for_mean, wilson

ALPHA = 0.05
RESAMPLES = 4_000
"""Bootstrap samples; the bounds of a 95 % interval then vary by about 1 % of its width from seed to seed."""
SEED = 20260101
LEAST_PAIRS = 6
"""Fewer differences than this prove nothing at 5 %, even all one way: 2 * 0.5**5 = 0.06."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairedTest:
    """Exact McNemar test over one kind of question: how many were gained and lost, and the two-sided p-value.

    `enough` is False where p is 0.05 or more; `needed` then estimates how many more questions, gained and lost at the
    same rates, would bring p under it: None where no number would, because as many are gained as lost.
    """

    kind: str
    n: int
    gained: int
    lost: int
    p_value: float
    enough: bool
    needed: int | None


@dataclass(frozen=True)
class Comparison:
    """One mean before and after over the same n items, and the paired bootstrap of its difference.

    `enough` says that the 95 % interval leaves 0 out (and n is LEAST_PAIRS at least); `needed` as in PairedTest.
    """

    name: str
    n: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    enough: bool
    needed: int | None


def share(rights: Sequence[bool]) -> Metric:
    """Return the share of true values with its Wilson interval; the share of nothing is 0 within 0 to 1."""
    low, high = wilson(sum(rights), len(rights))
    return Metric(sum(rights) / len(rights) if rights else 0.0, len(rights), low, high)


def mcnemar(gained: int, lost: int) -> float:
    """Return the exact two-sided p-value that gains and losses are equally likely (McNemar 1947, binomial form)."""
    n, k = gained + lost, min(gained, lost)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2**n)


def paired_test(kind: str, before: Sequence[bool], after: Sequence[bool]) -> PairedTest:
    """Compare right and wrong answers before and after over the same questions."""
    pairs = list(zip(before, after, strict=True))
    gained = sum(new and not old for old, new in pairs)
    lost = sum(old and not new for old, new in pairs)
    p_value = mcnemar(gained, lost)
    enough = p_value < ALPHA
    needed = 0 if enough else more_questions(len(pairs), gained, lost)
    return PairedTest(kind, len(pairs), gained, lost, p_value, enough, needed)


def more_questions(n: int, gained: int, lost: int) -> int | None:
    """Estimate how many more questions, gained and lost at the same rates, would make McNemar's p less than 0.05.

    Solves (k |gained - lost| - 1)**2 > z**2 k (gained + lost) for k, the factor by which the questions must grow: the
    test with continuity correction (Edwards 1948, Psychometrika 13, 185), which stays close to the exact one.
    """
    difference, changed = abs(gained - lost), gained + lost
    if not difference:
        return None
    half = difference + Z_95**2 * changed / 2
    factor = (half + math.sqrt(half**2 - difference**2)) / difference**2
    return max(1, math.ceil(n * factor) - n)


def mean(values: Sequence[float]) -> Metric:
    """Return the mean with its percentile bootstrap interval (Efron 1979); of a single value, the value thrice."""
    if not values:
        return Metric(0.0, 0, 0.0, 0.0)
    data = np.asarray(values, dtype=np.float64)
    low, high = _interval(len(data), lambda rows: data[rows].mean(axis=1))
    return Metric(float(data.mean()), len(data), low, high)


def ratio(before: Sequence[float], after: Sequence[float]) -> Metric:
    """Return the sum after over the sum before, resampled by pairs; a ratio to nothing is 1 where both are nothing."""
    old, new = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    if not len(old) or not old.sum():
        value = 1.0 if not new.sum() else float(len(new))
        return Metric(value, len(old), value, value)
    low, high = _interval(
        len(old), lambda rows: new[rows].sum(axis=1) / np.maximum(old[rows].sum(axis=1), np.finfo(np.float64).tiny)
    )
    return Metric(float(new.sum() / old.sum()), len(old), low, high)


def compare_means(name: str, before: Sequence[float], after: Sequence[float]) -> Comparison:
    """Compare two means over the same items by a paired bootstrap."""
    differences = [new - old for old, new in zip(before, after, strict=True)]
    gain = mean(differences)
    enough = gain.n >= LEAST_PAIRS and not gain.low <= 0.0 <= gain.high
    needed = 0 if enough else _more_pairs(gain)
    return Comparison(
        name, gain.n, mean(before).value, mean(after).value, gain.value, gain.low, gain.high, enough, needed
    )


def _more_pairs(gain: Metric) -> int | None:
    side = gain.high - gain.value if gain.value < 0 else gain.value - gain.low
    total = needed_for_mean(gain.n, gain.value, side, 0.0)
    return None if total is None else max(total, LEAST_PAIRS, gain.n + 1) - gain.n


def _interval(n: int, statistic: Callable[[NDArray[np.int64]], Floats]) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of the statistic over resampled row numbers (RESAMPLES, n)."""
    rows = np.random.default_rng(SEED).integers(0, n, size=(RESAMPLES, n))
    low, high = np.percentile(statistic(rows), [2.5, 97.5])
    return float(low), float(high)
