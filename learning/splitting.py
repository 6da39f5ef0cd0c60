"""A step in several packed sequences, whose gradients are added: for a step that does not fit into memory in one piece.

Each part's share in every mean of the loss goes with it, so the parts' losses add up to the whole step's. Only KTO's
estimate of the drift, which is of the rows that it sees, becomes one of the part's rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from learning.losses import FIRST_TOKENS, LossWeights
from learning.packing import Role, TokenRow, packed_step

SHARED = ("learned", "replay", "pairs", "chosen", "thumbs")
"""The weights of the loss that multiply a mean."""


@dataclass(frozen=True)
class Load:
    """What steps of `step_rows` rows, cut into `parts` each, ask of the machine.

    Of the largest sequence: its `rows`, its `tokens`, and the completion tokens among them, which need logits. Of all
    steps together: tokens that are `trained` on, tokens read `forward_only`, completion tokens `scored`, and
    `attended`, the sum of the squared lengths of the sequences.
    """

    steps: int
    step_rows: int
    parts: int
    rows: int
    tokens: int
    logits: int
    trained: int
    forward_only: int
    scored: int
    attended: int


def most_parts(steps: Sequence[Sequence[TokenRow]]) -> int:
    """Return into how many parts each of the steps can be cut."""
    return min(len(_units(step)) for step in steps)


def split_step(rows: Sequence[TokenRow], parts: int) -> list[list[TokenRow]]:
    """Deal the rows out to the parts in turn; a pair, or a thumb with its mismatched row, stays together."""
    units = _units(rows)
    dealt = [[row for unit in units[part::parts] for row in unit] for part in range(parts)]
    return [sorted(part, key=lambda row: row.role == "mismatched") for part in dealt]


def part_shares(parts: Sequence[Sequence[TokenRow]], first_weight: float) -> list[list[float]]:
    """Return each part's share in the mean behind each of the weights SHARED; over the parts each of them sums to 1."""
    counts = _counts(first_weight)
    amounts = [[float(sum(map(counts[name], part))) for name in SHARED] for part in parts]
    totals = [sum(column) or 1.0 for column in zip(*amounts, strict=True)]
    return [[value / total for value, total in zip(part, totals, strict=True)] for part in amounts]


def scaled(weights: LossWeights, shares: Sequence[float]) -> LossWeights:
    """Return the weights for a part that has these shares of its step."""
    return replace(
        weights, **{name: getattr(weights, name) * share for name, share in zip(SHARED, shares, strict=True)}
    )


def load_of(prefix: Sequence[int], steps: Sequence[Sequence[TokenRow]], parts: int) -> Load:
    """Measure the steps as they are when each is cut into so many parts."""
    sequences = [_sequence(prefix, part) for step in steps for part in split_step(step, parts)]
    rows, trained, forward, scored = (list(column) for column in zip(*sequences, strict=True))
    return Load(
        steps=len(steps),
        step_rows=max(map(len, steps)),
        parts=parts,
        rows=max(rows),
        tokens=max(trained),
        logits=max(scored),
        trained=sum(trained),
        forward_only=sum(forward),
        scored=sum(scored),
        attended=sum(length**2 for length in trained),
    )


def _sequence(prefix: Sequence[int], rows: Sequence[TokenRow]) -> tuple[int, int, int, int]:
    """Return rows, trained tokens, tokens of further passes that need no gradient, and scored tokens."""
    mismatched = _tokens(rows, "mismatched")
    replayed = _tokens(rows, "replayed")
    trained = len(packed_step(prefix, rows)["input_ids"]) - mismatched
    forward = sum(count + len(prefix) for count in (mismatched, replayed) if count)
    return len(rows), trained, forward, sum(len(row.completion) for row in rows if row.role != "mismatched")


def _tokens(rows: Sequence[TokenRow], role: Role) -> int:
    return sum(len(row) for row in rows if row.role == role)


def _units(rows: Sequence[TokenRow]) -> list[list[TokenRow]]:
    """Return what must stay in one sequence, in the order of the rows."""
    units: list[list[TokenRow]] = []
    thumbs: list[list[TokenRow]] = []
    mismatched = (row for row in rows if row.role == "mismatched")
    for row in rows:
        if row.role == "rejected":
            units[-1].append(row)
        elif row.role != "mismatched":
            units.append([row])
            if row.role in {"liked", "disliked"}:
                thumbs.append(units[-1])
    for unit, row in zip(thumbs, mismatched, strict=False):
        unit.append(row)
    return units


def _counts(first_weight: float) -> dict[str, Callable[[TokenRow], float]]:
    """Return what each weight's mean is over: weighted tokens, tokens, pairs or thumbs."""

    def when(amount: Callable[[TokenRow], float], *roles: Role) -> Callable[[TokenRow], float]:
        return lambda row: amount(row) if row.role in roles else 0.0

    def length(row: TokenRow) -> float:
        return len(row.completion)

    def weighted(row: TokenRow) -> float:
        return length(row) + (first_weight - 1) * min(length(row), FIRST_TOKENS)

    def one(_row: TokenRow) -> float:
        return 1.0

    return {
        "learned": when(weighted, "learned"),
        "replay": when(length, "replayed"),
        "pairs": when(one, "chosen"),
        "chosen": when(length, "chosen"),
        "thumbs": when(one, "liked", "disliked"),
    }
