"""Where a run starts, by the recipe and by what serves."""

import pytest

from learning.recipe import StartRecipe
from learning.start import Candidate, choose_start

SERVING = Candidate("a" * 64, "s" * 64, general_kl=0.02, new_share=0.2)


@pytest.mark.parametrize(
    ("recipe", "serving", "starts", "reason"),
    [
        (StartRecipe(), SERVING, 0, "the recipe says so"),
        (StartRecipe(origin="serving"), None, 0, "no adapter serves"),
        (StartRecipe(origin="serving"), SERVING, 1, "20% of the rows are new"),
        (StartRecipe(origin="serving"), Candidate("a", "s", None, 1.0), 1, "100% of the rows are new"),
        (StartRecipe(origin="serving"), Candidate("a", "s", 0.0, 0.1, "it has rank 8"), 0, "it has rank 8"),
        (StartRecipe(origin="auto"), SERVING, 1, "20% of the rows are new"),
        (StartRecipe(origin="auto"), Candidate("a", "s", 0.3, 0.2), 0, "drifted from it by 0.300"),
        (StartRecipe(origin="auto"), Candidate("a", "s", None, 0.2), 0, "not measured"),
        (StartRecipe(origin="auto"), Candidate("a", "s", 0.02, 0.6), 0, "60% of the rows are new, over 50%"),
    ],
)
def test_the_start_and_its_reason(recipe: StartRecipe, serving: Candidate | None, starts: int, reason: str) -> None:
    start = choose_start(recipe, serving)

    assert (start.adapter is not None) == starts
    assert reason in start.reason
    assert start.snapshot == (serving.snapshot if serving and starts else None)
