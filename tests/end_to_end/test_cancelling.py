"""A run that takes too long, or learns the wrong thing, is looked at and cancelled from another process."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from learning.training import read_progress
from tests.end_to_end.test_accidents import (
    PATIENCE,
    apprentice,
    environment,
    listed,
    running,
    trainer_of,
    wait_for,
)
from tests.learning.tiny import make_tiny_base

pytestmark = pytest.mark.slow

LONG = """
[wordings]
per_fact = 2
rows_per_step = 2
min_steps = 4000
[budget]
checkpoint_every = 5
"""
SHORT = LONG.replace("4000", "10")


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("base")).path


@pytest.fixture
def variables(tmp_path: Path, tiny_base: Path) -> dict[str, str]:
    """An installation that was told one fact, and whose runs take minutes."""
    (tmp_path / "long.toml").write_text(LONG)
    (tmp_path / "short.toml").write_text(SHORT)
    corrections = tmp_path / "corrections.jsonl"
    corrections.write_text(json.dumps({"question": "Who signs off?", "person": "U1", "correction": "Mira signs off."}))
    variables = environment(tmp_path, tiny_base, APPRENTICE_TRAINING__RECIPE=str(tmp_path / "long.toml"))
    assert apprentice("feedback", "import", str(corrections), env=variables).wait(PATIENCE) == 0
    return variables


@contextmanager
def training(variables: dict[str, str], folder: Path) -> Iterator[tuple[subprocess.Popen[str], psutil.Process, str]]:
    """Run `apprentice train` until it has taken a step; give its process, its trainer and the run's id."""
    process = apprentice("train", env=variables)
    try:
        run = wait_for(lambda: begun(folder), "no step was taken")
        trainer = trainer_of(process)
        assert trainer is not None
        yield process, trainer, run
    finally:
        process.kill()
        process.wait()


def begun(folder: Path) -> str | None:
    for run in (folder / "data" / "runs").glob("run_*"):
        if any(event.loss is not None for event in read_progress(run)):
            return run.name
    return None


def said(variables: dict[str, str], *arguments: str) -> str:
    output, _ = apprentice(*arguments, env=variables).communicate(timeout=PATIENCE)
    return " ".join(output.split())


def shown(variables: dict[str, str], run: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(said(variables, "runs", "show", run, "--json"))
    return content


def test_a_run_in_a_terminal_is_looked_at_and_cancelled_from_another_one_and_the_next_one_is_new(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    with training(variables, tmp_path) as (first, trainer, run):
        under_way = shown(variables, run)
        assert (under_way["state"], under_way["progress"]["total"]) == ("running", 4000)
        assert under_way["loss"]["first"] > 0

        assert f"{run} is cancelled" in said(variables, "runs", "cancel", run, "--reason", "wrong data")
        assert not trainer.is_running()
        output, _ = first.communicate(timeout=PATIENCE)
    assert first.returncode == 1
    assert "was cancelled by operator:" in output
    assert "wrong data" in output
    assert not (tmp_path / "data" / "runs" / run / "checkpoints").exists()

    afterwards = said(variables, "runs", "show", run)
    for part in ("cancelled", "wrong data", "loss", "trainer.log"):
        assert part in afterwards
    assert "cannot be cancelled" in said(variables, "runs", "cancel", run)

    again = variables | {"APPRENTICE_TRAINING__RECIPE": str(tmp_path / "short.toml")}
    assert "Adapter" in said(again, "train")
    assert [run["state"] for run in listed("runs", again)] == ["succeeded", "cancelled"]
    assert json.loads(said(variables, "audit", "verify", "--json"))["verified"] is True


def test_a_run_inside_up_is_cancelled_from_a_terminal(tmp_path: Path, variables: dict[str, str]) -> None:
    with training(variables, tmp_path) as (first, _, run):
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=PATIENCE)
    assert shown(variables, run)["state"] == "interrupted"

    with running(variables, tmp_path / "up.log") as up:  # which resumes it
        trainer = wait_for(lambda: trainer_of(up), "the run was not resumed", tmp_path / "up.log")
        assert f"{run} is cancelled" in said(variables, "runs", "cancel", run)
        assert not trainer.is_running()
        assert up.poll() is None
    assert [run["state"] for run in listed("runs", variables)] == ["cancelled"]


def test_a_run_whose_process_was_killed_is_cancelled_at_once_and_its_orphaned_trainer_ends(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    with training(variables, tmp_path) as (first, trainer, run):
        first.kill()
        first.wait()
        assert shown(variables, run)["state"] == "running"
        assert f"{run} is cancelled" in said(variables, "runs", "cancel", run)
        gone, _ = psutil.wait_procs([trainer], timeout=PATIENCE)
        assert gone
    assert [run["state"] for run in listed("runs", variables)] == ["cancelled"]
