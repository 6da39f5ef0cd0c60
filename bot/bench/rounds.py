"""Facts of a benchmark that come in rounds, one after the other."""

import itertools
from collections.abc import Sequence

from bot.bench.child import BenchError
from learning.evaluation.questions import BenchmarkFact


def rounds_of(facts: Sequence[BenchmarkFact], batches: int) -> list[list[BenchmarkFact]]:
    """Split facts, in their order, into rounds of like size.

    Raises:
        BenchError: there are fewer facts than rounds.

    """
    if not 1 <= batches <= len(facts):
        raise BenchError(f"{len(facts)} facts cannot come in {batches} rounds. Give --batches 1 to {len(facts)}.")
    bounds = [len(facts) * number // batches for number in range(batches + 1)]
    return [list(facts[start:end]) for start, end in itertools.pairwise(bounds)]
