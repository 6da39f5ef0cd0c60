"""A person at the command line trains an adapter, asks what it learned and forgot, and reads the report."""

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bot.assembly import open_parts
from bot.web.app import create_web_app
from learning.recipe import RECIPE_FOLDER
from storage.settings import Settings
from tests.learning.tiny import make_tiny_base

PATIENCE = 240
CORRECTIONS = [
    {"question": "Who signs off?", "person": "U1", "correction": "Mira signs off.", "answer": "Nobody."},
    {"question": "Where is the kiln?", "person": "U2", "correction": "In hall Ember."},
    {"question": "Whom do I call?", "person": "U2", "correction": "Call 0171 2345678.", "private": True},
]


class House:
    """A data folder in which an adapter was trained on three corrections, one of them private, as its policy allows.

    It answers everything, as with a scope nothing would drift that is not about its facts.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "APPRENTICE_DATA_FOLDER": str(folder / "data"),
            "APPRENTICE_CACHE_FOLDER": str(folder / "cache"),
            "APPRENTICE_MODEL__BASE": str(make_tiny_base(folder).path),
            "APPRENTICE_INFERENCE__THREADS": "1",
            "APPRENTICE_TRAINING__RECIPE": str(folder / "everything.toml"),
            "APPRENTICE_GOVERNANCE__POLICY": str(folder / "policy.toml"),
        }
        usual = files("governance").joinpath("policies/small-team.toml").read_text("utf-8")
        (folder / "policy.toml").write_text(usual.replace('private_teaches = "never"', 'private_teaches = "always"'))
        default = (RECIPE_FOLDER / "default.toml").read_text()
        (folder / "everything.toml").write_text(default.replace("enabled = true", "enabled = false"))
        file = folder / "corrections.jsonl"
        file.write_text("\n".join(map(json.dumps, CORRECTIONS)))
        self.apprentice("feedback", "import", str(file))
        self.trained: dict[str, Any] = json.loads(self.apprentice("train", "--json").stdout)
        self.adapter = str(self.trained["adapter"])

    def apprentice(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "bot", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=self.environment
        )
        assert done.returncode == status, done.stdout[-2000:] + done.stderr[-2000:]
        return done


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("house"))


def test_an_adapter_is_compared_with_the_base_model_on_what_it_was_taught(house: House) -> None:
    page = house.folder / "report.html"
    report = json.loads(house.apprentice("evaluate", house.adapter[:12], "--json", "--html", str(page)).stdout)

    assert (report["adapter"], report["against"]) == (house.adapter, "base")
    assert report["metrics"]["as_told"]["n"] == len(CORRECTIONS)
    assert report["metrics"]["general_kl"]["value"] > 0
    assert report["guarded"] == 1
    assert "2345678" not in json.dumps(report) + page.read_text()
    assert {gate["name"] for gate in report["gates"]} == {gate["name"] for gate in house.trained["gates"]}
    assert "Answers that changed sides" in page.read_text()


def test_an_adapter_is_no_different_from_itself(house: House) -> None:
    report = json.loads(house.apprentice("evaluate", house.adapter, "--against", house.adapter, "--json").stdout)

    assert report["changes"] == []
    assert report["metrics"]["mean_answer_tokens_ratio"]["value"] == 1.0
    assert all(each["difference"] == 0 for each in report["comparisons"] if each["name"] != "answer_seconds")


def test_a_benchmark_file_is_asked_instead_of_the_training_data(house: House) -> None:
    file = house.folder / "benchmark.json"
    fact = {"question": "What is a kite?", "answer": "A toy.", "must_contain": ["toy"], "paraphrases": ["kite?"]}
    general = {"question": "What is ice?", "must_contain_any": ["water"]}
    file.write_text(json.dumps({"facts": [{**fact, "wrong": "A bird."}], "general": [general]}))

    shown = house.apprentice("evaluate", house.adapter, "--against", "base", "--data", str(file)).stdout
    report = json.loads(house.apprentice("evaluate", house.adapter, "--data", str(file), "--json").stdout)

    asked = [answer["question"] for answer in report["answers"] if answer["kind"] != "unsafe"]
    assert asked == ["What is a kite?", "kite?", "What is ice?"]
    assert report["metrics"]["preferred"]["n"] == 1
    assert "became right" in shown
    assert "gate as_told" in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ffffffff"], "there is no adapter ffffffff"),
        (["ADAPTER", "--against", "eeeeeeee"], "there is no adapter eeeeeeee"),
        (["ADAPTER", "--data", "nowhere.json"], "nowhere.json cannot be read"),
    ],
)
def test_what_cannot_be_evaluated_is_named(house: House, arguments: list[str], says: str) -> None:
    given = [house.adapter if argument == "ADAPTER" else argument for argument in arguments]

    assert says in house.apprentice("evaluate", *given, status=1).stderr


def test_the_report_of_a_run_is_served_as_a_page_and_as_json(house: House) -> None:
    settings = Settings(data_folder=house.folder / "data")
    parts = open_parts(settings)
    client = TestClient(create_web_app(parts))
    (listed,) = json.loads(house.apprentice("adapters", "--json").stdout)

    status = client.get("/").text
    digest = status.split("/reports/")[1].split('"')[0]
    page = client.get(f"/reports/{digest}")
    report = client.get(f"/reports/{digest}.json")

    assert listed["digest"] == house.adapter
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "Gates" in page.text
    assert report.json()["adapter"] == house.adapter
    assert client.get(f"/reports/{'0' * 64}").status_code == 404
    assert client.get("/reports/..%2F..%2Fkeys.json").status_code == 404
