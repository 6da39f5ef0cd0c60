"""`apprentice runs show` and `cancel`: what they print of a run in each state, and of one whose folder is lost."""

import json
from pathlib import Path

import pytest

from bot.cli.runs import sparkline
from learning.cancelling import sole_training
from storage.database import Database
from storage.records import utc_now
from tests.bot.commands import CommandLine
from tests.governance.installation import STARTER, Clock, Installation


@pytest.fixture
def house(apprentice: CommandLine, sqlite_database: Database) -> Installation:
    """The installation that the command line acts on, with its people."""
    return Installation(sqlite_database, apprentice.folder / "data", Clock(utc_now()))


@pytest.fixture
def run(house: Installation) -> str:
    """A run under way, of a process that is dead."""
    queued = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    house.governance.start_run(queued.id, "5" * 64, 3, {})
    progress = {"phase": "training", "step": 3, "total": 8, "seconds_left": 12.4}
    house.governance.note_progress(queued.id, progress)
    return queued.id


def folder_of(apprentice: CommandLine, run: str) -> Path:
    """Write what a trainer leaves after three steps, one of them taken again after an interruption."""
    folder = apprentice.folder / "data" / "runs" / run
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"start_reason": "from the base model"}))
    (folder / "trainer.log").write_text("".join(f"line {number}\n" for number in range(40)))
    losses = [(1, 4.0), (2, 9.0), (2, 3.0), (3, 1.0)]
    events = [{"phase": "training", "step": step, "total": 8, "loss": loss} for step, loss in losses]
    (folder / "progress.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    return folder


def test_a_run_is_shown_with_progress_curve_log_and_files(apprentice: CommandLine, run: str) -> None:
    folder = folder_of(apprentice, run)

    said = apprentice("runs", "show", run).out

    for part in (
        STARTER, "running", "from the base model", "training, 3 of 8, about 12 s left", "█▆▁  4.00 to 1.00 in 3 steps",
        "line 39", str(folder), "trainer.log",
    ):  # fmt: skip
        assert part in said
    assert "line 20" not in said
    content = apprentice("runs", "show", run, "--json").json
    assert content["loss"]["curve"] == [[1, 4.0], [2, 3.0], [3, 1.0]]
    assert content["seconds"] >= 0


def test_the_plan_of_a_run_is_in_the_list_for_scripts(apprentice: CommandLine, house: Installation, run: str) -> None:
    house.governance.note_progress(run, {"phase": "training", "plan": {"steps": 8}})

    (listed,) = apprentice("runs", "--json").json

    assert listed["plan"] == {"steps": 8}
    assert "plan" not in apprentice("runs").out


def test_the_curve_of_a_run_is_there_when_its_folder_is_lost(
    apprentice: CommandLine, house: Installation, run: str
) -> None:
    house.governance.keep_curve(run, [[1, 4.0], [8, 0.5]])
    house.governance.finish_run(run, "succeeded")

    content = apprentice("runs", "show", run, "--json").json

    assert (content["loss"]["first"], content["loss"]["last"], content["loss"]["steps"]) == (4.0, 0.5, 8)
    assert (content["folder"], content["log"]) == (None, [])
    assert "4.00 to 0.50" in apprentice("runs", "show", run).out


def test_a_run_that_nobody_works_on_is_cancelled_at_once_and_keeps_its_log_and_curve(
    apprentice: CommandLine, run: str
) -> None:
    folder = folder_of(apprentice, run)

    assert f"Run {run} is cancelled" in apprentice("runs", "cancel", run, "--reason", "wrong [/data]").out

    (listed,) = apprentice("runs", "--json").json
    assert (listed["state"], listed["error"]) == ("cancelled", "wrong [/data]")
    shown = apprentice("runs", "show", run)
    assert "wrong [/data]" in shown.out
    assert "operator:" in shown.out
    assert sorted(path.name for path in folder.iterdir()) == ["job.json", "progress.jsonl", "trainer.log"]
    again = apprentice("runs", "cancel", run)
    assert again.status == 1
    assert "'cancelled' already, so it cannot be cancelled" in again.said


def test_a_run_of_a_process_that_dies_before_it_stops_is_cancelled_all_the_same(
    apprentice: CommandLine, house: Installation, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.cli.runs.PATIENCE_S", 0.0)
    with sole_training(apprentice.folder / "data" / "runs"):
        asked = apprentice("runs", "cancel", run)
        assert "will be cancelled when its process has stopped" in asked.out
        assert apprentice("runs", "show", run, "--json").json["state"] == "running"

    assert apprentice("runs", "cancel", run, "--json").json["state"] == "cancelled"


def test_a_run_that_is_not_there_is_named(apprentice: CommandLine) -> None:
    for command in ("show", "cancel"):
        result = apprentice("runs", command, "run_0")
        assert result.status == 1
        assert "there is no run run_0" in result.said


def test_options_of_the_list_before_another_command_are_refused_rather_than_ignored(apprentice: CommandLine) -> None:
    result = apprentice("runs", "--json", "show", "run_0")
    assert result.status == 2
    assert "behind 'show'" in result.said


def test_a_curve_is_drawn_from_its_lowest_to_its_highest_value() -> None:
    assert sparkline([0.0, 7.0, 3.5]) == "▁█▅"
    assert sparkline([2.0, 2.0]) == "▁▁"
