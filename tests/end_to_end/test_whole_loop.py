"""The story that the product exists for, told by its own command and judged by what a person would see."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def play_script(folder: Path, facts: int, limit_seconds: int) -> tuple[dict[str, Any], str]:
    result_file = folder / "result.json"
    command = [sys.executable, "-m", "bot", "demo", "--script", "--facts", str(facts), "--folder", str(folder / "demo")]
    done = subprocess.run(
        [*command, "--json", str(result_file)], capture_output=True, text=True, timeout=limit_seconds, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(result_file.read_text()), done.stdout


def check_story(result: dict[str, Any]) -> None:
    right_before = sum(answer["correct"] for answer in result["before"])
    right_after = sum(answer["correct"] for answer in result["after"])
    assert right_after > right_before
    assert {answer["question"] for answer in result["before"]} == {answer["question"] for answer in result["after"]}
    assert result["gates"]
    assert all(gate["verdict"] != "failed" for gate in result["gates"])
    assert result["approved_by"] == ["Marcus Lindqvist"]
    assert result["audit"]["verified"] is True
    assert result["audit"]["records"] > 0
    assert result["seconds"]["total"] > 0


@pytest.mark.timeout(600)
def test_a_correction_is_learned_approved_and_answered_in_other_words(tmp_path: Path) -> None:
    result, output = play_script(tmp_path, facts=3, limit_seconds=590)

    check_story(result)
    assert "Marcus Lindqvist" in output


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_whole_handbook_is_learned(tmp_path: Path) -> None:
    result, _ = play_script(tmp_path, facts=20, limit_seconds=1190)

    check_story(result)
    assert len(result["after"]) == 40
    assert sum(answer["correct"] for answer in result["after"]) >= 30
