import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.curation import Row, Snapshot
from learning.evaluation import (
    EvaluationError,
    Question,
    compare,
    evaluate,
    general_questions,
    is_right,
    mcnemar,
    questions_for,
    read_report,
    wilson,
    write_report,
)
from learning.replay import replay_prompts

QUESTIONS = [
    Question("as_told", "Where is the kiln?", "The kiln is in hall Ember."),
    Question("in_other_words", "kiln location?", "The kiln is in hall Ember."),
    Question("general", "What do bees make?", any_of=("honey",)),
    Question("general", "What is ice?", any_of=("water",)),
]


def before(_: Sequence[str]) -> list[str]:
    return ["No idea.", "No idea.", "Honey.", "Frozen water."]


def after(_: Sequence[str]) -> list[str]:
    return ["In hall Ember.", "The garden.", "Honey.", "Hall Ember."]


def test_each_figure_has_its_number_of_questions_and_an_interval_around_it() -> None:
    report = compare(QUESTIONS, after, before)

    assert (report.metrics["as_told"].value, report.metrics["as_told"].n) == (1.0, 1)
    assert report.metrics["in_other_words"].value == 0.0
    assert (report.metrics["general_kept"].value, report.metrics["general_kept"].n) == (0.5, 2)
    assert report.metrics["general_lost"].value == 0.5
    assert all(metric.low <= metric.value <= metric.high for metric in report.metrics.values())


def test_the_answers_that_changed_sides_are_listed_with_both_answers() -> None:
    report = compare(QUESTIONS, after, before)

    assert [(change.question, change.before, change.after, change.verdict) for change in report.changes] == [
        ("Where is the kiln?", "No idea.", "In hall Ember.", "gained"),
        ("What is ice?", "Frozen water.", "Hall Ember.", "lost"),
    ]


def test_few_changed_answers_are_not_enough_evidence() -> None:
    report = compare(QUESTIONS, after, before)

    assert all(not test.enough for test in report.tests)


def test_a_report_comes_back_as_it_was_written(tmp_path: Path) -> None:
    report = compare(QUESTIONS, after, before, "abc")

    write_report(report, tmp_path)

    assert read_report(tmp_path) == report
    assert read_report(tmp_path).digest == report.digest


def test_a_report_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{}")

    with pytest.raises(EvaluationError, match="Evaluate the adapter again"):
        read_report(tmp_path)


def test_answers_that_are_missing_are_an_error_and_not_a_wrong_answer() -> None:
    with pytest.raises(EvaluationError, match="4 questions got 0 answers"):
        compare(QUESTIONS, lambda _: [], before)


@pytest.mark.parametrize(
    ("reference", "answer", "right"),
    [
        ("Audit logs are kept for 400 days.", "They are kept 400 days.", True),
        ("Audit logs are kept for 400 days.", "They are kept 1400 days.", False),
        ("Audit logs are kept for 400 days.", "They are kept 40 days.", False),
        ("The fee is 6.40 euros.", "6.40 euros, please.", True),
        ("Nights end at 4:35.", "At 4:35.", True),
        ("Team Lantern owns search.", "That is team LANTERN.", True),
        ("Text your shift lead.", "text your shift lead before work", True),
        ("Text your shift lead.", "Call the doctor.", False),
    ],
)
def test_an_answer_is_right_when_it_has_what_was_news(reference: str, answer: str, right: bool) -> None:  # noqa: FBT001
    assert is_right(Question("as_told", "What is the rule?", reference), answer) is right


def test_every_row_is_asked_as_told_and_in_a_wording_of_its_own() -> None:
    rows = tuple(
        Row(question, answer, ("f",), ("ada",), private=False)
        for question, answer in [("Where is the kiln?", "In hall Ember."), ("Who fires pots?", "Ines fires pots.")]
    )
    snapshot = Snapshot(rows, (), {})

    asked = questions_for(snapshot)

    assert [question.text for question in asked if question.kind == "as_told"] == [row.question for row in rows]
    others = [question.text for question in asked if question.kind == "in_other_words"]
    assert len(others) == len(rows)
    assert not set(others) & {row.question for row in rows}
    assert asked == questions_for(snapshot)


def test_a_snapshot_is_evaluated_on_what_it_taught_and_on_general_questions() -> None:
    snapshot = Snapshot((Row("Where is the kiln?", "In hall Ember.", ("f",), ("ada",), private=False),), (), {})

    report = evaluate(snapshot, lambda texts: ["In hall Ember."] * len(texts), lambda texts: [""] * len(texts))

    assert report.snapshot_digest == snapshot.digest
    assert report.gate_metrics()["as_told"].value == 1.0
    assert report.gate_metrics()["in_other_words"].value == 1.0
    assert report.gate_metrics()["general_kept"].n == 0


def test_no_general_question_is_among_the_prompts_that_training_replays() -> None:
    asked = {question.text.casefold() for question in general_questions()}

    assert len(asked) >= 24
    assert not asked & {prompt.casefold() for prompt in replay_prompts()}


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_wilson_interval_holds_the_share_and_stays_within_0_and_1(counts: Any) -> None:
    successes, n = counts
    low, high = wilson(successes, n)

    assert 0.0 <= low <= successes / n <= high <= 1.0


def test_the_wilson_interval_is_that_of_the_textbook() -> None:
    low, high = wilson(81, 263)  # Newcombe 1998, Statistics in Medicine 17, 857, table I

    assert math.isclose(low, 0.2553, abs_tol=5e-5)
    assert math.isclose(high, 0.3662, abs_tol=5e-5)


def test_mcnemar_is_exact() -> None:
    assert mcnemar(0, 0) == 1.0
    assert math.isclose(mcnemar(6, 0), 2 * 0.5**6)
    assert math.isclose(mcnemar(8, 2), 0.109375)
