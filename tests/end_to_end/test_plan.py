"""A run is planned before it trains: who starts one sees what it will take, and finds that kept with it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.test_accidents import PATIENCE, apprentice, environment
from tests.learning.tiny import make_tiny_base

pytestmark = pytest.mark.slow

RECIPE = """
[wordings]
per_fact = 2
rows_per_step = 2
min_steps = 6
[budget]
"""


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """An installation that was told one fact."""
    recipe, corrections = tmp_path / "own.toml", tmp_path / "corrections.jsonl"
    recipe.write_text(RECIPE)
    corrections.write_text(json.dumps({"question": "Who signs off?", "person": "U1", "correction": "Mira signs off."}))
    base = make_tiny_base(tmp_path / "base").path
    variables = environment(tmp_path, base, APPRENTICE_TRAINING__RECIPE=str(recipe))
    assert apprentice("feedback", "import", str(corrections), env=variables).wait(PATIENCE) == 0
    return variables


def said(variables: dict[str, str], *arguments: str) -> tuple[str, str]:
    """Return standard output and standard error."""
    command = [sys.executable, "-m", "bot", *arguments]
    wide = {**variables, "COLUMNS": "500"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE * 2, env=wide)
    return done.stdout, done.stderr


def test_a_plan_is_said_in_the_terminal_and_kept_with_the_run(variables: dict[str, str]) -> None:
    _, progress = said(variables, "train")

    assert "plan: cpu (" in progress
    assert "6 steps of" in progress
    assert "MB of memory at most, of" in progress
    (run,) = json.loads(said(variables, "runs", "--json")[0])
    assert (run["plan"]["steps"], run["plan"]["device"], run["plan"]["activation_checkpointing"]) == (6, "cpu", False)


def test_a_script_gets_the_plan_with_the_result(variables: dict[str, str]) -> None:
    result = json.loads(said(variables, "train", "--json")[0])

    assert result["plan"]["wanted_steps"] == 6


def test_a_run_that_cannot_fit_ends_with_what_to_change(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(RECIPE + "max_memory_mb = 20")

    _, problem = said(variables, "train")

    assert "does not fit into the machine's memory" in problem
    assert "raise budget.max_memory_mb" in problem
    (run,) = json.loads(said(variables, "runs", "--json")[0])
    assert (run["state"], run["plan"]) == ("failed", None)
