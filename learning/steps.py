"""What each training step shows: facts in newly drawn wordings, preferences, and replayed general prompts."""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from learning.curation import Snapshot
from learning.encoding import Encoder
from learning.facts import facts_of
from learning.packing import TokenRow
from learning.recipe import Recipe
from learning.wordings import Fact, Wordings, held_out_wordings, same_wording
from storage.errors import ApprenticeError

DRAWS = 20
"""Wordings drawn before a row falls back on the question itself."""
MOST_SMOOTHING = 0.3
"""Of measured disagreement; near 0.5, where pairs would say nothing, the loss of robust DPO grows without bound."""

Stream = tuple[int, Iterator[list[TokenRow]]]
"""How many steps it takes, and the rows of one step after the other, without end."""


class NothingToTrainError(ApprenticeError):
    """The snapshot has nothing of what the recipe's method learns from."""


def measured_disagreement(snapshot: Snapshot) -> float:
    """Return which share of the feedback contradicts other feedback, at most MOST_SMOOTHING."""
    left_out, counts = snapshot.manifest.get("left_out", {}), snapshot.manifest.get("counts", {})
    contradicting = sum(left_out.get(rule, 0) for rule in ("contradiction", "divided", "outvoted"))
    return float(min(contradicting / max(counts.get("feedback", 0), 1), MOST_SMOOTHING))


def plan_rows(
    snapshot: Snapshot,
    recipe: Recipe,
    encoder: Encoder,
    replays: Sequence[TokenRow],
    known: Collection[str] = frozenset(),
) -> list[list[TokenRow]]:
    """Lay out the rows of every step of the run; the same input gives the same steps.

    `known` are questions that the adapter was trained on from which this run starts.

    Raises:
        NothingToTrainError: there is nothing to learn from by the recipe's method.

    """
    facts = facts_of(snapshot) if recipe.method in {"sft", "combined"} else []
    pairs = _pairs(snapshot, encoder) if recipe.method in {"dpo", "combined"} else []
    thumbs = (
        _thumbs(snapshot, encoder, with_pairs=recipe.method == "kto") if recipe.method in {"kto", "combined"} else []
    )
    if not (facts or pairs or thumbs):
        raise NothingToTrainError(
            f"this snapshot has nothing that method {recipe.method!r} learns from: "
            f"{len(snapshot.rows)} corrections, {len(snapshot.pairs)} preference pairs, {len(snapshot.thumbs)} thumbs. "
            "Choose another recipe as training.recipe, or collect more feedback."
        )
    shown = recipe.preferences
    streams = [
        _fact_rows(facts, recipe, encoder, replays, known),
        _preference_rows(pairs, shown.pairs_per_step, shown.per_pair, recipe.seed),
        _preference_rows(thumbs, shown.thumbs_per_step, shown.per_pair, recipe.seed, mismatch=True),
    ]
    steps = max(count for count, _ in streams)
    return [[row for _, stream in streams for row in next(stream)] for _ in range(steps)]


def _fact_rows(
    facts: Sequence[Fact], recipe: Recipe, encoder: Encoder, replays: Sequence[TokenRow], known: Collection[str]
) -> Stream:
    steps, rows = step_count(facts, recipe, known)
    if not facts:
        return 0, _nothing()
    source = random.Random(recipe.seed)  # noqa: S311 - wordings, not secrets
    wordings, held_out = Wordings(facts), held_out_wordings(facts)
    # Few facts leave room in a step; general prompts take it, as few facts are soon learned and then over-learned.
    replay_rows = recipe.replay.rows_per_step and recipe.replay.rows_per_step + recipe.wordings.rows_per_step - rows
    turns, general = _turns(facts, recipe, known, source), _endless(range(len(replays)), source)

    def draw_rows() -> Iterator[list[TokenRow]]:
        while True:
            chosen = [next(turns) for _ in range(rows)]
            questions = [
                draw_question(facts[at], held_out[at], partial(wordings.draw, at), recipe, source) for at in chosen
            ]
            drawn = [encoder.row(text, facts[at].answer) for text, at in zip(questions, chosen, strict=True)]
            yield [
                *_taught(drawn, chosen, recipe),
                *(replays[next(general)] for _ in range(replay_rows if replays else 0)),
            ]

    return steps, draw_rows()


def _taught(drawn: Sequence[TokenRow], chosen: Sequence[int], recipe: Recipe) -> list[TokenRow]:
    """Say which fact each row teaches, and which rows are to be learned on what the student itself answers."""
    sampled = round(recipe.distillation.sampled_share * len(drawn)) if recipe.distillation.weight else 0
    return [
        replace(row, role="sampled" if place < sampled else "learned", fact=at)
        for place, (row, at) in enumerate(zip(drawn, chosen, strict=True))
    ]


def step_count(facts: Sequence[Fact], recipe: Recipe, known: Collection[str] = frozenset()) -> tuple[int, int]:
    """Return (steps, fact rows a step): few facts come in smaller but not too few steps."""
    if not facts:
        return 0, 0
    old = sum(fact.question in known for fact in facts)
    shown = (len(facts) - old) * recipe.wordings.per_fact + old * recipe.start.per_known_fact
    rows = min(recipe.wordings.rows_per_step, len(facts) * 3)
    return max(recipe.wordings.min_steps, -(-shown // rows)), rows


def _turns(facts: Sequence[Fact], recipe: Recipe, known: Collection[str], source: random.Random) -> Iterator[int]:
    """Go through the facts again and again, shuffled anew each time; those known before come in fewer rounds."""
    new = [at for at, fact in enumerate(facts) if fact.question not in known]
    old = [at for at, fact in enumerate(facts) if fact.question in known]
    share = recipe.start.per_known_fact / recipe.wordings.per_fact if new else 1.0
    due = 0.0
    while True:
        due += share
        members = new + old if due >= 1.0 else new
        due -= 1.0 if due >= 1.0 else 0.0
        yield from source.sample(members, len(members))


def _pairs(snapshot: Snapshot, encoder: Encoder) -> list[tuple[TokenRow, ...]]:
    return [
        (encoder.row(pair.question, pair.chosen, "chosen"), encoder.row(pair.question, pair.rejected, "rejected"))
        for pair in snapshot.pairs
        if pair.split == "train"
    ]


def _thumbs(snapshot: Snapshot, encoder: Encoder, *, with_pairs: bool) -> list[tuple[TokenRow, ...]]:
    """Return likes and dislikes; of a preference pair, where pairs count too, the chosen and the rejected answer."""
    thumbs: list[tuple[TokenRow, ...]] = [
        (encoder.row(thumb.question, thumb.answer, "liked" if thumb.liked else "disliked"),)
        for thumb in snapshot.thumbs
        if thumb.split == "train"
    ]
    pairs = [pair for pair in snapshot.pairs if pair.split == "train"] if with_pairs else []
    thumbs += [(encoder.row(pair.question, pair.chosen, "liked"),) for pair in pairs]
    return thumbs + [(encoder.row(pair.question, pair.rejected, "disliked"),) for pair in pairs]


def _preference_rows(
    units: Sequence[tuple[TokenRow, ...]], per_step: int, times: int, seed: int, *, mismatch: bool = False
) -> Stream:
    """Show `per_step` units a step; with `mismatch` also each one's prompt with another one's answer, as KTO needs."""
    count = min(per_step, len(units))
    if not count:
        return 0, _nothing()
    turns = _endless(range(len(units)), random.Random(seed))  # noqa: S311 - an order, not a secret

    def draw_rows() -> Iterator[list[TokenRow]]:
        while True:
            rows = [row for _ in range(count) for row in units[next(turns)]]
            others = [rows[-1], *rows[:-1]] if mismatch and len(rows) > 1 else []
            yield [*rows, *(TokenRow(row.prompt, other.completion, "mismatched") for row, other in zip(rows, others))]  # noqa: B905

    return -(-len(units) * times // count), draw_rows()


def _nothing() -> Iterator[list[TokenRow]]:
    while True:
        yield []


def draw_question(
    fact: Fact, held_out: str, draw: Callable[[random.Random], str], recipe: Recipe, source: random.Random
) -> str:
    """Return the question itself, or another wording of it that is not the one held out for evaluation."""
    if source.random() < recipe.wordings.original_share:
        return fact.question
    draws = (draw(source) for _ in range(DRAWS))
    return next((drawn for drawn in draws if not same_wording(drawn, held_out)), fact.question)


def _endless(items: Sequence[int], source: random.Random) -> Iterator[int]:
    """Go through the items again and again, shuffled anew each time."""
    while items:
        yield from source.sample(items, len(items))
