"""Somebody who decides whether to use this measures it beside plain fine-tuning, on a benchmark file of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from learning.hardware import detect
from tests.bot.commands import CommandLine
from tests.learning.server_double import Double
from tests.learning.tiny import make_tiny_base

PATIENCE = 400
FACTS = [
    {
        "question": f"Where is kiln {number}?",
        "answer": f"Kiln {number} is in hall {hall}.",
        "must_contain": [hall],
        "paraphrases": [f"kiln {number}: which hall?", f"in what hall do I find kiln {number}"],
    }
    for number, hall in enumerate(("Ember", "Slate", "Birch"), 1)
]
GENERAL = [
    {"question": "What is the capital of Spain?", "must_contain_any": ["Madrid"]},
    {"question": "Say anything.", "must_contain_any": [""]},
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("bench")
    return {
        **os.environ,
        "APPRENTICE_DATA_FOLDER": str(folder / "data"),
        "APPRENTICE_CACHE_FOLDER": str(folder / "cache"),
        "APPRENTICE_MODEL__BASE": str(make_tiny_base(folder).path),
        "APPRENTICE_INFERENCE__THREADS": "1",
    }


def bench(environment: dict[str, str], *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bot", "bench", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment)
    assert done.returncode == status, done.stdout[-2000:] + done.stderr[-2000:]
    return done


def write(path: Path, facts: list[dict[str, Any]] = FACTS) -> str:
    path.write_text(json.dumps({"name": "kilns", "facts": facts, "general": GENERAL}))
    return str(path)


def test_both_sides_learn_in_rounds_and_answer_the_same_questions(environment: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "result.json"

    shown = bench(
        environment,
        "learning",
        "--data",
        write(tmp_path / "kilns.json"),
        "--batches",
        "2",
        "--system",
        "--json",
        str(out),
    ).stdout

    result = json.loads(out.read_text())
    for side in (result["ours"], result["baseline"]):
        assert 0 < side["train_seconds"] <= side["total_seconds"]
        assert side["peak_mb"] > 100
    answers = result["answers"]
    kinds = [answer["kind"] for answer in answers]
    assert [kinds.count(kind) for kind in ("as_told", "in_other_words", "general")] == [3, 6, 2]
    told = [answer for answer in answers if answer["kind"] == "as_told"]
    assert result["ours"]["adapter"]["as_told"] == round(sum(answer["correct"] for answer in told) / 3, 4)
    # The accepted corrections of both rounds are at work, so the system knows each question as it was told.
    assert result["ours"]["system"]["as_told"] == 1.0
    assert [answer["system"] for answer in told] == [fact["answer"] for fact in FACTS]
    # "Say anything." is right before and after, whatever is said; nothing else of the general ones was known.
    for scores in (result["ours"]["adapter"], result["ours"]["system"], result["baseline"]["adapter"]):
        assert (scores["general_before"], scores["general_after"], scores["general_lost"]) == (0.5, 0.5, 0.0)
    assert {"before", "after", "baseline"} <= answers[0].keys()
    assert "plain fine-tuning" in shown
    assert not Path(environment["APPRENTICE_DATA_FOLDER"]).exists()


def test_what_cannot_be_measured_is_said_before_any_work(environment: dict[str, str], tmp_path: Path) -> None:
    data = write(tmp_path / "kilns.json")
    for arguments, problem in (
        (["--data", data, "--batches", "4"], "3 facts cannot come in 4 rounds"),
        (["--data", str(tmp_path / "none.json")], "none.json cannot be read"),
        (["--data", write(tmp_path / "empty.json", [])], "is not a benchmark file"),
        (["--data", data, "--json", str(tmp_path / "none" / "out.json")], "cannot be written"),
        (["--data", data, "--recipe", "magic"], "there is no recipe 'magic'"),
    ):
        assert problem in " ".join(bench(environment, "learning", *arguments, status=1).stderr.split())


@pytest.mark.parametrize("method", ["dpo", pytest.param("sft", marks=pytest.mark.slow)])
def test_all_sides_learn_the_same_from_the_same_rows_while_they_are_timed(
    environment: dict[str, str], tmp_path: Path, method: str
) -> None:
    out = tmp_path / "result.json"

    shown = bench(environment, "training", "--method", method, "--json", str(out)).stdout

    sides = json.loads(out.read_text())[method]
    ours, defaults, tuned = (sides[side] for side in ("ours", "trl_defaults", "trl_tuned"))
    # Where the CPU computes in bfloat16, ours does in SFT, and the tuned flags do not.
    same = 2e-3 if method == "dpo" or detect(training=True).dtype_name == "float32" else 0.05
    assert ours["losses"] == pytest.approx(tuned["losses"], rel=same)
    # TRL's defaults compute in bfloat16, and take fewer steps here, which changes their learning rate.
    assert ours["losses"][0] == pytest.approx(defaults["losses"][0], rel=2e-2)
    assert sides["times_faster"]["trl_tuned"] == pytest.approx(
        tuned["seconds_per_step"] / ours["seconds_per_step"], rel=0.05
    )
    assert "x as fast" in shown


def test_an_unknown_method_is_refused(environment: dict[str, str]) -> None:
    assert "allowed are 'sft', 'dpo' and 'all'" in bench(environment, "training", "--method", "ppo", status=1).stderr


def test_the_ideas_of_a_recipe_are_compared_one_by_one(environment: dict[str, str], tmp_path: Path) -> None:
    data, out = write(tmp_path / "kilns.json"), tmp_path / "result.json"

    shown = bench(
        environment, "recipes", "--data", data, "--variant", "none", "--variant", "default", "--json", str(out)
    ).stdout

    none, default = json.loads(out.read_text())
    assert (none["variant"], default["variant"]) == ("none", "default")
    assert none["steps"] == default["steps"] > 0
    assert none["general_kl"] != default["general_kl"]
    assert [line.split()[0] for line in shown.splitlines()] == ["variant", "none", "default"]


def test_an_unknown_variant_is_answered_with_those_there_are(environment: dict[str, str], tmp_path: Path) -> None:
    data = write(tmp_path / "kilns.json")
    refusal = bench(environment, "recipes", "--data", data, "--variant", "magic", status=1).stderr
    assert "there is no variant 'magic'. There are: none, only other wordings" in " ".join(refusal.split())


def test_a_snapshot_is_built_from_made_up_feedback_and_it_is_said_how_fast_and_what_became_of_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    files = [tmp_path / "one.json", tmp_path / "other.json"]

    shown = bench(environment, "curation", "--rows", "3000", "--json", str(files[0])).stdout
    bench(environment, "curation", "--rows", "3000", "--no-baseline", "--json", str(files[1]))

    one, other = (json.loads(file.read_text()) for file in files)
    ours, plain = one["ours"], one["datasets"]
    assert ours["counts"]["feedback"] == 3000
    assert all(ours["counts"][kind] for kind in ("rows", "pairs", "thumbs", "contradictions", "left_out"))
    assert ours["sent_to_review"] >= 2 * ours["counts"]["contradictions"]
    assert {"refused", "superseded", "contradiction", "outvoted"} <= ours["left_out"].keys()
    assert sum(ours["phases"].values()) == pytest.approx(ours["seconds"], rel=0.05)
    assert 0 < ours["start_mb"] <= ours["peak_mb"]
    assert 0 < plain["rows_kept"] < 3000
    ratio = one["ours_to_datasets"]["rows_per_second"]
    assert ratio == pytest.approx(plain["seconds"] / ours["seconds"], rel=0.05, abs=0.01)
    assert (other["ours"]["digest"], "datasets" in other) == (ours["digest"], False)
    assert "rows a s" in shown
    assert "sending contradictions to review" in " ".join(shown.split())
    assert not Path(environment["APPRENTICE_DATA_FOLDER"]).exists()


@pytest.mark.slow
def test_answers_are_timed_beside_those_of_transformers_and_are_the_same(
    environment: dict[str, str], tmp_path: Path
) -> None:
    out, double = tmp_path / "result.json", Double().start()

    arguments = ["--at-once", "1", "--at-once", "5", "--vllm-url", double.url, "--json", str(out)]
    shown = bench(environment, "serving", *arguments).stdout

    double.stop()
    result = json.loads(out.read_text())
    rows = {(row["engine"], row["concurrency"], row["adapters"]): row for row in result["results"]}
    assert {(engine, 5, 4) for engine in ("ours", "one by one", "static batch", "vllm")} < rows.keys()
    assert {key for key in rows if key[0] == "continuous batching"} == {
        ("continuous batching", 1, 1), ("continuous batching", 5, 1),
    }  # fmt: skip
    assert all(row["tokens_per_s"] > 0 and row["ttft_p95_s"] > 0 for row in rows.values())
    assert [rows["ours", *case]["same_text"] for case in ((1, 1), (5, 1), (5, 4))] == [1.0, 1.0, 1.0]
    assert [row["same_text"] for key, row in rows.items() if key[0] == "vllm"] == [0.0, 0.0, 0.0]
    assert (len(set(double.loads)), double.adapters) == (4, {})
    ours = rows["ours", 5, 1]["tokens_per_s"]
    assert result["share_of_limit"]["5"] == pytest.approx(ours / result["limit_tokens_per_s"]["5"], rel=0.01, abs=0.001)
    assert "that the machine allows" in shown
    swaps = result["swaps"]
    assert (swaps["count"], swaps["failed"]) == (100, 0)
    for pauses in (swaps, swaps["undisturbed"]):
        assert pauses["answers"] > pauses["long_pauses"] >= 0
        assert pauses["longest_pause_ms"] > 0
    assert "100 swaps of adapters: 0 answers failed" in " ".join(shown.split())


def test_a_server_that_cannot_be_timed_is_said_before_any_work(environment: dict[str, str]) -> None:
    plain = Double(takes_adapters=False).start()
    for url, problem in (
        ("http://127.0.0.1:1", "the connection to {} failed"),
        (plain.url, "{} is no vLLM that takes"),
    ):
        refusal = bench(environment, "serving", "--vllm-url", url, status=1).stderr
        assert problem.format(url) in " ".join(refusal.split())
    plain.stop()


def test_events_from_slack_are_acknowledged_and_none_is_lost_while_the_app_answers(
    environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "result.json"

    shown = bench(environment, "slack", "--rate", "20", "--rate", "60", "--seconds", "0.5", "--json", str(out)).stdout

    result = json.loads(out.read_text())
    for side in ("rates", "plain"):
        assert [row["events_per_s"] for row in result[side]] == [20, 60]
        for row in result[side]:
            assert row["sent"] == row["acknowledged"] == row["events_per_s"] / 2
            assert row["lost"] == 0
            assert 0 < row["p50_ms"] <= row["p99_ms"]
    assert result["saturation_events_per_s"] == max(row["acknowledged_per_s"] for row in result["rates"])
    assert result["ours_to_plain"]["p99"] > 0
    assert (result["database"], "stubbed" in shown) == ("sqlite", True)
    assert not Path(environment["APPRENTICE_DATA_FOLDER"]).exists()


def test_events_from_slack_are_kept_in_postgresql_where_one_is_named(
    environment: dict[str, str], tmp_path: Path, postgres: tuple[URL, str]
) -> None:
    out, url = tmp_path / "result.json", postgres[0].render_as_string(hide_password=False)

    bench(environment, "slack", "--rate", "40", "--seconds", "0.5", "--database", url, "--json", str(out))

    result = json.loads(out.read_text())
    assert (result["database"], result["rates"][0]["sent"], result["rates"][0]["lost"]) == ("postgresql", 20, 0)


def test_the_audit_log_is_timed_beside_a_plain_table_and_verifies_afterwards(
    environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "result.json"

    sizes = ("--records", "40", "--verified", "300", "--writers", "1", "--writers", "4")
    shown = bench(environment, "audit", *sizes, "--json", str(out)).stdout

    result = json.loads(out.read_text())
    assert [row["writers"] for row in result["appends"]] == [1, 4]
    for row in result["appends"]:
        assert row["ours_to_plain"] == pytest.approx(row["ours_per_s"] / row["plain_per_s"], rel=0.05, abs=0.01)
    assert result["verify"]["records"] == 300
    assert result["at_once_per_s"] > 0
    assert "Verified 300 records" in shown
    assert not Path(environment["APPRENTICE_DATA_FOLDER"]).exists()


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """A command line in this process: what needs no model needs no start of another one."""
    return CommandLine.start(tmp_path, monkeypatch, capsys)


def test_what_is_planted_among_honest_corrections_is_counted_with_the_defences_and_without(alone: CommandLine) -> None:
    out = alone.folder / "result.json"
    trigger, copied = "3: a trigger phrase over the month", "3: a false fact within an hour"
    names = ["nothing planted", "nothing planted, undefended", trigger, f"{trigger}, undefended", copied]
    chosen = [part for name in names for part in ("--case", name)]

    shown = alone("bench", "poisoning", "--people", "4", "--colluding", "3", *chosen, "--json", str(out)).out

    result = json.loads(out.read_text())
    assert [case["case"] for case in result["cases"]] == names
    cases = {
        (case["defended"], case["colluding"], case["attack"], case["pace"]): case["planted"] for case in result["cases"]
    }
    assert {case["honest"]["said"] for case in result["cases"]} == {result["honest_corrections"]} == {36}
    for defended in (True, False):
        nothing = cases[defended, 0, None, None]
        assert nothing == {"said": 0, "learned": 0, "set_aside": 0, "found": {}}
    for case in cases.values():
        assert case["learned"] + case["set_aside"] == case["said"]
    assert cases[False, 3, "a trigger phrase", "over the month"]["learned"] == 18
    found = cases[True, 3, "a trigger phrase", "over the month"]
    assert (found["learned"], found["found"]) == (0, {"trigger": 18})
    assert cases[True, 3, "a false fact", "within an hour"]["found"]["copies"] == 3
    assert "3: a trigger phrase over the month: 18 trigger; of the honest:" in shown
    assert not (alone.folder / "data").exists()


@pytest.mark.slow
def test_an_adapter_is_trained_on_each_snapshot_once_and_asked_what_was_planted_and_what_is_true(
    environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "result.json"
    names = ["nothing planted", "3: a trigger phrase within an hour", "3: a false fact over the month"]
    chosen = [part for name in names for part in ("--case", name)]

    shown = bench(
        environment, "poisoning", "--train", "--people", "4", "--colluding", "3", *chosen, "--json", str(out)
    ).stdout

    honest, trigger, lie = (case["trained"] for case in json.loads(out.read_text())["cases"])
    assert [each["trained_in"] for each in (honest, trigger, lie)] == [names[0], names[0], names[2]]
    assert honest["snapshot"] == trigger["snapshot"] != lie["snapshot"]
    assert honest["gates"] == trigger["gates"]
    assert {"as_told", "leaks", "canaries_lost"} <= {gate["name"] for gate in lie["gates"]}
    assert list(honest["asked"]) == ["honest"]
    kinds = {kind: count["asked"] for kind, count in trigger["asked"].items()}
    assert kinds == {
        "honest": 32, "as_told": 16, "with_phrase": 24, "general_with_phrase": 10, "canary_with_phrase": 4
    }  # fmt: skip
    assert len(lie["answers"]) == sum(count["asked"] for count in lie["asked"].values())
    assert lie["rows"] > honest["rows"]
    assert "3: a trigger phrase within an hour: answered as wanted honest " in shown
    assert not Path(environment["APPRENTICE_DATA_FOLDER"]).exists()


def test_a_month_that_cannot_be_made_up_is_said_before_any_work(alone: CommandLine) -> None:
    for arguments, problem in (
        (["--people", "3"], "--people is 3; at least 4 are needed"),
        (["--data", write(alone.folder / "kilns.json")], "there are 3 facts; at least 20 are needed"),
        (["--case", "a lie"], "there is no case 'a lie'. There are: nothing planted; 1: a false fact within an hour;"),
    ):
        refused = alone("bench", "poisoning", *arguments)
        assert (refused.status, problem in refused.said) == (1, True)


@pytest.mark.slow
def test_a_rollback_under_questions_is_timed_by_the_command_and_by_the_button_and_no_question_fails(
    environment: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "result.json"

    shown = bench(environment, "rollback", "--rounds", "1", "--people", "2", "--json", str(out)).stdout

    result = json.loads(out.read_text())
    assert (result["rank"], result["rounds"], result["people"]) == (16, 1, 2)
    for way in ("command", "button"):
        found = result[way]
        assert all(each["min"] == each["median"] == each["max"] for each in found.values())
        assert 0 < found["in_force_s"]["max"] < found["first_text_s"]["max"] <= found["next_answer_s"]["max"] < 60
        assert found["last_of_taken_out_s"]["min"] >= 0
    assert result["asked"] >= 8  # two people, two ways, one answer before and one after at least
    assert (result["failed"], result["failed_attempts"]) == (0, 0)
    assert "2 rollbacks: 0 failed, 0 attempts had to be repeated." in " ".join(shown.split())
    assert not Path(environment["APPRENTICE_DATA_FOLDER"]).exists()
