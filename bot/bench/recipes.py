"""`apprentice bench recipes`: what each idea of a recipe is worth, alone, left out, and added, on one benchmark file.

Each variant is taught and asked as `apprentice bench learning` does, in an installation of its own.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.assembly import open_parts
from bot.bench.child import BenchError
from bot.bench.learning import SHOW, measure
from learning.engine import Engine
from learning.evaluation.questions import Benchmark
from learning.recipe import Recipe, load_recipe
from storage.settings import Settings

Changes = Mapping[str, Any]
"""Values of a recipe, and by section those in it."""


@dataclass(frozen=True)
class Idea:
    """What a recipe says with and without it."""

    done: Changes
    undone: Changes


PAIRS: Changes = {
    "pairs_per_step": 2, "per_pair": 5, "weight": 0.2, "chosen_weight": 0.2, "label_smoothing": "measured",
}  # fmt: skip
IDEAS: Mapping[str, Idea] = {
    "other wordings": Idea({"wordings": {"original_share": 0.0}}, {"wordings": {"original_share": 1.0}}),
    "first tokens count more": Idea({"wordings": {"first_weight": 3.0}}, {"wordings": {"first_weight": 1.0}}),
    "B matrices faster": Idea({"optimizer": {"b_ratio": 4.0}}, {"optimizer": {"b_ratio": 1.0}}),
    "scope": Idea({"scope": {"enabled": True}}, {"scope": {"enabled": False}}),
    "scope and reading": Idea({"scope": {"enabled": True, "reading": True}}, {"scope": {"reading": False}}),
    "replay": Idea({"replay": {"rows_per_step": 6, "weight": 3.0}}, {"replay": {"rows_per_step": 0}}),
    "preference pairs": Idea({"method": "combined", "preferences": PAIRS}, {"method": "sft"}),
    "self-distillation": Idea({"distillation": {"weight": 1.0}}, {"distillation": {"weight": 0.0}}),
}


def variants() -> Iterator[tuple[str, Recipe]]:
    """Give each variant's name and recipe: none of the ideas, each alone, all of the default, less or more one.

    Without any of them, each fact comes in the words of its question, as often as the default recipe shows it.
    """
    default = load_recipe("default")
    bare = default
    for idea in IDEAS.values():
        bare = _changed(bare, idea.undone)
    yield "none", bare
    for name, idea in IDEAS.items():
        yield f"only {name}", _changed(bare, idea.done)
    yield "default", default
    for name, idea in IDEAS.items():
        if _changed(default, idea.done) == default:
            yield f"default without {name.removeprefix('scope and ')}", _changed(default, idea.undone)
        else:
            yield f"default with {name}", _changed(default, idea.done)


def chosen(names: Sequence[str]) -> dict[str, Recipe]:
    """Return the named variants; all of them when no name is given.

    Raises:
        BenchError: a name is none of a variant.

    """
    known = dict(variants())
    if unknown := [name for name in names if name not in known]:
        raise BenchError(f"there is no variant {unknown[0]!r}. There are: {', '.join(known)}.")
    return {name: known[name] for name in names} if names else known


def compare(
    benchmark: Benchmark, settings: Settings, engine: Engine, folder: Path, recipes: Mapping[str, Recipe], show: SHOW
) -> Iterator[dict[str, Any]]:
    """Teach and ask each variant; `settings` are those of an installation in `folder`.

    Yields:
        For each, as soon as it is known: variant, seconds of training, steps, the scores of the benchmark, and the
        gates' figures over the product's own general questions (general_lost, general_kl).

    """
    for number, (name, recipe) in enumerate(recipes.items(), 1):
        place = folder / str(number)
        place.mkdir()
        file = place / "recipe.toml"
        file.write_text(_toml(recipe), encoding="utf-8")
        training = settings.training.model_copy(update={"recipe": str(file)})
        parts = open_parts(settings.model_copy(update={"data_folder": place / "data", "training": training}))
        label = f"{number} of {len(recipes)}, {name}: "

        def tell(phase: str, step: int, total: int, detail: str, label: str = label) -> None:
            show(label + phase, step, total, detail)

        ours = measure(benchmark, parts, engine, batches=1, system=False, baseline=False, show=tell)["ours"]
        gates = {gate["name"]: gate["value"] for gate in ours["gates"]}
        yield {
            "variant": name,
            "steps": ours["steps"],
            "train_seconds": ours["train_seconds"],
            **ours["adapter"],
            "own_general_lost": gates["general_lost"],
            "general_kl": gates["general_kl"],
        }


def _changed(recipe: Recipe, changes: Changes) -> Recipe:
    content = recipe.model_dump()
    for part, value in changes.items():
        content[part] = {**content[part], **value} if isinstance(value, Mapping) else value
    return Recipe(**content)


def _toml(recipe: Recipe) -> str:
    """Write a recipe as TOML, whose strings, numbers, truth values and lists are those of JSON."""
    content = recipe.model_dump(mode="json")
    sections = {name: value for name, value in content.items() if isinstance(value, dict)}
    lines = [f"{name} = {json.dumps(value)}" for name, value in content.items() if name not in sections]
    for name, values in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"
