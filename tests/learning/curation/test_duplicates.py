"""Which questions are taken for one: 115 made-up pairs, and the benchmarks' facts among themselves."""

import json
from itertools import permutations
from pathlib import Path

import pytest

from learning.curation import build_snapshot
from tests.learning.curation.said import Said

PAIRS = json.loads((Path(__file__).parent / "question_pairs.json").read_text(encoding="utf-8"))
BENCHMARKS = [Path("tests/benchmarks") / f"{name}.json" for name in ("hospital", "lawfirm", "school")]


def rows(*questions: str) -> int:
    """Count the rows of corrections that all say the same, so that only the questions tell them apart."""
    said = [Said(f"f{place}", f"p{place}", question=question) for place, question in enumerate(questions)]
    return len(build_snapshot(said).rows)


@pytest.mark.parametrize(("one", "other"), PAIRS["different"])
def test_questions_that_differ_in_a_word_that_matters_stay_apart(one: str, other: str) -> None:
    assert rows(one, other) == 2


def test_most_questions_that_are_the_same_are_found() -> None:
    found = sum(rows(one, other) == 1 for one, other in PAIRS["same"])

    assert (found, len(PAIRS["same"])) == (31, 40)


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_no_two_facts_of_a_benchmark_are_taken_for_one_in_any_wording(path: Path) -> None:
    facts = [[fact["question"], *fact["paraphrases"]] for fact in json.loads(path.read_text())["facts"]]
    said = [
        Said(f"f{place}.{number}", f"p{place}.{number}", question=question, text=f"Answer {place}.")
        for place, questions in enumerate(facts)
        for number, question in enumerate(questions)
    ]

    assert build_snapshot(said).contradictions == ()


def test_what_people_asked_otherwise_is_kept_with_the_row() -> None:
    asked = [
        "Who approves accessibility reviews?",
        "who approves the accesibility reviews",
        "Who approves the reviews?",
    ]
    snapshot = build_snapshot([Said(f"f{place}", f"p{place}", question=text) for place, text in enumerate(asked)])

    assert [(row.question, row.wordings, row.feedback_ids) for row in snapshot.rows] == [
        (asked[1], (asked[0],), ("f0", "f1")),
        (asked[2], (), ("f2",)),
    ]


def test_three_spellings_are_one_question_whatever_their_order() -> None:
    asked = ["Who leads accessibility?", "Who leads accesibility?", "Who leads accessibillity?"]
    for order in permutations(asked):
        assert rows(*order) == 1


def test_a_private_wording_of_somebody_else_stays_private() -> None:
    snapshot = build_snapshot(
        [Said("f1"), Said("f2", "bo", "up", "Where is our kiln please?", "The kiln is in hall Ember.", private=True)]
    )

    assert [(row.wordings, row.private) for row in snapshot.rows] == [((), False)]
