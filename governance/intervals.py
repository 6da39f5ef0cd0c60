"""Intervals of measured shares, and how many questions would settle a doubt. Pure arithmetic."""

import math
from collections.abc import Callable

Z_95 = 1.959963984540054
"""The 97.5th percentile of the standard normal distribution: two-sided 95 %."""
MOST = 100_000
"""Where a search for a number of questions ends: nobody asks more."""


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22, 209); 0 to 1 for n = 0."""
    if n == 0:
        return 0.0, 1.0
    p, z2 = successes / n, Z_95**2
    middle, spread = p + z2 / (2 * n), Z_95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    low, high = (middle - spread) / (1 + z2 / n), (middle + spread) / (1 + z2 / n)
    return (0.0 if p == 0 else max(0.0, low)), (1.0 if p == 1 else min(1.0, high))


def needed_for_share(value: float, bound: float) -> int | None:
    """Return the smallest n at which the Wilson interval around this share leaves the bound out; None beyond MOST."""

    def clear(n: int) -> bool:
        low, high = wilson(value * n, n)
        return high < bound or low > bound

    return _smallest(clear)


def needed_for_mean(n: int, value: float, half_width: float, bound: float) -> int | None:
    """Return the n at which an interval that shrinks with the root of n leaves the bound out; None beyond MOST."""
    distance = abs(value - bound)
    needed = math.ceil(n * (half_width / distance) ** 2) if distance else MOST + 1
    return needed if needed <= MOST else None


def _smallest(holds: Callable[[int], bool]) -> int | None:
    """Bisect for the smallest n from 1 to MOST for which a monotone condition holds."""
    if not holds(MOST):
        return None
    low, high = 0, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
