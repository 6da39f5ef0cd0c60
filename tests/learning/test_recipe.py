from pathlib import Path

import pytest

from learning.recipe import Recipe, available_recipes, load_recipe
from storage.errors import ConfigurationError


def test_every_recipe_that_comes_with_the_product_loads() -> None:
    assert "default" in available_recipes()
    assert all(load_recipe(name).name == name for name in available_recipes())


def test_a_recipe_of_ones_own_is_given_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text("seed = 7\n[adapter]\nrank = 4\n")

    recipe = load_recipe(str(path))

    assert (recipe.name, recipe.seed, recipe.adapter.rank) == ("ours", 7, 4)


def test_an_unknown_key_is_refused_with_the_file_the_key_and_what_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text("[adapter]\nrnk = 4\n")

    with pytest.raises(ConfigurationError) as refusal:
        load_recipe(str(path))

    assert str(refusal.value).startswith(f"{path}: unknown key 'adapter.rnk'. Allowed are: rank, alpha,")


def test_a_value_that_is_not_allowed_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text("[adapter]\nrank = 0\n")

    with pytest.raises(
        ConfigurationError, match=r"ours\.toml: 'adapter\.rank' is 0, but .* greater than or equal to 1"
    ):
        load_recipe(str(path))


def test_a_name_that_is_no_recipe_is_answered_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="Built in are: combined, default, distilled, dpo, kto;"):
        load_recipe("defualt")


def test_a_file_that_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text("seed 7\n")

    with pytest.raises(ConfigurationError, match=r"not valid TOML: .*line 1"):
        load_recipe(str(path))


def test_the_digest_is_of_the_meaning_defaults_included() -> None:
    assert Recipe(name="a").digest == Recipe(name="a", seed=0).digest
    assert Recipe(name="a").digest != Recipe(name="a", seed=1).digest
