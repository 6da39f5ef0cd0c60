"""Somebody who is about to start a project compares base models on questions of their own, and is told the best."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from learning.base_model import BUILTIN
from tests.learning.tiny import make_tiny_base

PATIENCE = 1500
"""Seconds for one command, which starts up to three processes a model: a minute alone, far more on a busy machine."""
pytestmark = pytest.mark.timeout(PATIENCE)
HOSPITAL = Path(__file__).parent.parent / "benchmarks" / "hospital.json"
BENCHMARK = {
    "name": "kilns",
    "facts": [
        {
            "question": f"Where is kiln {number}?",
            "answer": f"Kiln {number} is in hall {hall}.",
            "must_contain": [hall],
            "paraphrases": [f"kiln {number}: which hall?"],
        }
        for number, hall in enumerate(("Ember", "Slate"), 1)
    ],
    "general": [
        {"question": "Say anything.", "must_contain_any": [""]},
        {"question": "What is the capital of Spain?", "must_contain_any": ["Madrid"]},
    ],
}


def assess(folder: Path, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "APPRENTICE_DATA_FOLDER": str(folder / "data"),
        "APPRENTICE_CACHE_FOLDER": str(folder / "cache"),
        "APPRENTICE_INFERENCE__THREADS": "1",
        "COLUMNS": "300",
        "HF_HUB_OFFLINE": "1",
    }
    command = [sys.executable, "-m", "bot", "assess", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment)
    assert done.returncode == status, done.stdout[-2000:] + done.stderr[-2000:]
    return done


def tiny(folder: Path, name: str, card: str = "") -> Path:
    model = make_tiny_base(folder / name).path
    if card:
        (model / "README.md").write_text(card)
    return model.rename(folder / name / name)


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "kilns.json"
    path.write_text(json.dumps(BENCHMARK))
    return str(path)


def test_two_models_are_compared_and_those_that_cannot_be_used_are_rows_that_stop_no_other(
    tmp_path: Path, data: str
) -> None:
    free = tiny(tmp_path, "free", "---\nlicense: apache-2.0\n---\n# A model\n")
    nameless, mute, short = (tmp_path / name for name in ("nameless", "mute", "short"))
    for copy in (nameless, mute, short):
        shutil.copytree(free, copy)
    (nameless / "README.md").unlink()
    (mute / "chat_template.jinja").unlink()
    weights = (short / "model.safetensors").read_bytes()
    (short / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    models = [str(path) for path in (mute, short, nameless, free, free)]

    result = json.loads(assess(tmp_path, *models, "--data", data, "--json").stdout)

    no_template, damaged, *measured = result["models"]
    assert [each["model"] for each in measured] == [str(nameless), str(free)]
    assert "has no chat template" in no_template["problem"]
    assert "Choose its instruction-tuned form" in no_template["problem"]
    assert "short/model.safetensors is damaged" in damaged["problem"]
    assert "Fetch or save the model again" in damaged["problem"]
    for each in measured:
        asked, training = each["asked"], each["training"]
        assert each["problem"] == ""
        # "Say anything." is right whatever is said; a model of random numbers knows nothing else.
        assert (each["shares"]["general"]["value"], each["shares"]["general"]["n"]) == (0.5, 2)
        assert (each["shares"]["as_told"]["value"], each["shares"]["in_other_words"]["n"]) == (0.0, 2)
        assert asked["parameters"] == each["files"]["parameters"] > 10_000
        assert asked["free_mb"] > asked["peak_mb"] > 100 > asked["weights_mb"] > 0
        assert 0 < asked["speed"]["seconds_to_first_token"] <= asked["speed"]["seconds_per_answer"]
        assert asked["speed"]["tokens_per_second"] > 0
        assert asked["speed"]["tokens_per_second_at_once"] > 0
        assert each["files"]["context_length"] == 2048
        assert (training["fits"], training["facts"], training["problem"]) == (True, 2, "")
        assert 0 < training["seconds_per_step"] < training["seconds"]
        assert training["needed_mb"] > asked["peak_mb"]
    assert [each["files"]["licence"] for each in measured] == ["not stated", "apache-2.0"]
    advice = result["recommendation"]
    assert advice["model"] == str(free)
    assert "answers 1 of 2 general questions right and is the only one that can be used" in advice["reason"]
    assert f"{nameless} (its licence is not stated)" in advice["reason"]
    assert (result["machine"]["cores"], result["machine"]["load"]) >= (1, 0)
    assert not (tmp_path / "data").exists()


def test_nothing_measured_ends_with_status_1_and_what_to_do(tmp_path: Path, data: str) -> None:
    done = assess(tmp_path, "not/a/hub/id", "no-such/model", "--data", data, status=1)

    said = " ".join(done.stdout.split())
    assert "not/a/hub/id: model.base is 'not/a/hub/id': no such folder, and not a hub id. Correct it." in said
    assert "no-such/model cannot be fetched from the hub" in said
    assert "set model.base to a local folder" in said
    assert "No recommendation. None of them can be recommended." in said
    assert "fetching no-such/model from the hub" in done.stderr


@pytest.mark.slow
def test_the_built_in_model_is_recommended_over_one_that_knows_nothing(tmp_path: Path) -> None:
    rival = str(tiny(tmp_path, "rival", "---\nlicense: mit\n---\n"))
    torn = shutil.copytree(rival, tmp_path / "torn")
    (torn / "config.json").write_text('{"model_type": "nonesuch"}')

    done = assess(tmp_path, str(torn), rival, BUILTIN, "--data", str(HOSPITAL), "--limit", "5")

    said = " ".join(done.stdout.split())
    assert f"{torn}: the base model in {torn} cannot be loaded" in said
    assert "Fetch or save it again" in said
    assert "0 of 5" in said.partition("General questions")[2].partition("As it was told")[0]
    assert "trying to" in done.stderr
    assert "0 of 5" in said.partition("As it was told")[2].partition("In other words")[0]
    assert f"Recommended for this machine: {BUILTIN}." in said
    assert "Its licence is stated: apache-2.0." in said
    assert f"Left out: {rival} (it answered no general question right)." in said
