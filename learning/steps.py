"""What each training step shows: facts in newly drawn wordings, and replayed general prompts beside them."""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from learning.curation import Snapshot
from learning.encoding import Encoder
from learning.packing import TokenRow, packed_step
from learning.recipe import Recipe
from learning.wordings import Fact, Wordings, held_out_wordings, same_wording

DRAWS = 20
"""Wordings drawn before a row falls back on the question itself."""


def facts_of(snapshot: Snapshot) -> list[Fact]:
    """Return what the snapshot teaches: its rows, with what people asked in other words."""
    return [Fact(row.question, row.answer, row.wordings) for row in snapshot.rows]


def step_count(facts: int, recipe: Recipe) -> tuple[int, int]:
    """Return (steps, fact rows a step): each fact `per_fact` times, few facts in smaller but not too few steps."""
    rows = min(recipe.wordings.rows_per_step, facts * 3)
    return max(recipe.wordings.min_steps, -(-facts * recipe.wordings.per_fact // rows)), rows


def plan_steps(
    snapshot: Snapshot, recipe: Recipe, encoder: Encoder, replays: Sequence[TokenRow]
) -> list[dict[str, list[Any]]]:
    """Lay out every step of the run; the same snapshot and recipe give the same steps."""
    source = random.Random(recipe.seed)  # noqa: S311 - wordings, not secrets
    facts = facts_of(snapshot)
    wordings, held_out = Wordings(facts), held_out_wordings(facts)
    steps, rows = step_count(len(facts), recipe)
    # Few facts leave room in a step; general prompts take it, as few facts are soon learned and then over-learned.
    replay_rows = recipe.replay.rows_per_step and recipe.replay.rows_per_step + recipe.wordings.rows_per_step - rows
    turns, general = _endless(range(len(facts)), source), _endless(range(len(replays)), source)
    prefix = encoder.prefix()
    plan = []
    for _ in range(steps):
        chosen = [next(turns) for _ in range(rows)]
        questions = [
            draw_question(facts[index], held_out[index], partial(wordings.draw, index), recipe, source)
            for index in chosen
        ]
        drawn = [encoder.row(text, facts[index].answer) for text, index in zip(questions, chosen, strict=True)]
        replayed = [replays[next(general)] for _ in range(replay_rows if replays else 0)]
        plan.append(packed_step(prefix, [*drawn, *replayed]))
    return plan


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
