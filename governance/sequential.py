"""A test that may be looked at after every answer: whether one rate is higher than another. Pure arithmetic.

A test of fixed size is wrong more often than it says when somebody looks at it again and again and stops at the first
alarm. An e-value is not: for two streams of independent yes-or-no results with rates p and q, and a prior for each,

    E = [integral of L(p') dBeta(p') * integral of L(q') dBeta(q')] / max of L(p) L(q) over all p <= q + margin

is at most a martingale of mean 1 whenever p <= q + margin, so that it ever reaches 1 / alpha has at most the
probability alpha (Ville 1939), however often it is looked at and in whatever order the results came. The numerator is
the mixture of Robbins (1970, Ann. Math. Stat. 41, 1397), with the prior Beta(1/2, 1/2) of Krichevsky and Trofimov
(1981, IEEE Trans. Inf. Theory 27, 199); the maximum below it is universal inference (Wasserman, Ramdas, Balakrishnan
2020, PNAS 117, 16880). Turner, Ly and Gruenwald (2024, J. Stat. Plan. Inference 230) treat such tests of two streams.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

PRIOR = 0.5
GOLDEN = (math.sqrt(5) - 1) / 2
STEPS = 60
"""Of a search; each leaves 0.62 of the interval, so 60 leave 1e-12 of it."""


class Counts(NamedTuple):
    """`hits` of `n` results."""

    hits: int
    n: int

    @property
    def rate(self) -> float:
        """The share of hits; 0 without results."""
        return self.hits / self.n if self.n else 0.0


def evidence_of_higher(new: Counts, old: Counts, margin: float = 0.0) -> float:
    """Return the e-value against "the rate of `new` is at most that of `old` plus `margin`" (0 to 1).

    Reject when it reaches 1 / alpha, at any look.
    """
    mixed = _log_mixture(new) + _log_mixture(old)
    return math.exp(min(mixed - _most_likely(new, old, margin), 700.0))


def rate_interval(counts: Counts, alpha: float) -> tuple[float, float]:
    """Return the rates that no look has ruled out so far: all of them hold the true rate with probability 1 - alpha."""
    if counts.n == 0:
        return 0.0, 1.0
    mixed, limit = _log_mixture(counts), math.log(1 / alpha)

    def possible(rate: float) -> bool:
        return mixed - _log_likelihood(counts, rate) < limit

    return _edge(possible, counts.rate, 0.0), _edge(possible, counts.rate, 1.0)


def _log_mixture(counts: Counts) -> float:
    return _log_beta(PRIOR + counts.hits, PRIOR + counts.n - counts.hits) - _log_beta(PRIOR, PRIOR)


def _most_likely(new: Counts, old: Counts, margin: float) -> float:
    """Return the highest log-likelihood of both where the rate of `new` is at most that of `old` plus `margin`."""
    if new.rate <= old.rate + margin:
        return _log_likelihood(new, new.rate) + _log_likelihood(old, old.rate)
    # It lies on the edge, where the two rates differ by the margin; the log-likelihood is concave along it.
    return _highest(lambda q: _log_likelihood(new, q + margin) + _log_likelihood(old, q), 0.0, 1.0 - margin)


def _log_likelihood(counts: Counts, rate: float) -> float:
    return _times_log(counts.hits, rate) + _times_log(counts.n - counts.hits, 1.0 - rate)


def _times_log(count: int, value: float) -> float:
    if count == 0:
        return 0.0
    return count * math.log(value) if value > 0 else -math.inf


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _highest(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the maximum of a concave function by golden-section search."""
    for _ in range(STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if function(left) < function(right):
            low = left
        else:
            high = right
    return max(function(low), function(high))


def _edge(possible: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return the last possible rate on the way from one inside to the end of the scale."""
    if possible(outside):
        return outside
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if possible(middle) else (inside, middle)
    return inside
