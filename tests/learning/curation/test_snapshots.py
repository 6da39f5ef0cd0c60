"""From feedback to a snapshot: what becomes a row, what is left out and why, and what is on disk."""

from dataclasses import replace
from pathlib import Path

import pytest

from governance.policy import CurationRules
from learning.curation import MAX_CHARACTERS, SnapshotError, build_snapshot, read_snapshot, write_snapshot
from tests.learning.curation.said import Said, later, left_out, vote


def test_a_correction_becomes_a_row_and_a_preference_pair_that_name_their_feedback() -> None:
    snapshot = build_snapshot([Said("f1")])

    assert [(row.question, row.answer, row.feedback_ids, row.person_ids) for row in snapshot.rows] == [
        ("Where is the kiln?", "The kiln is in hall Ember.", ("f1",), ("ada",))
    ]
    assert [(pair.chosen, pair.rejected, pair.feedback_ids, pair.split) for pair in snapshot.pairs] == [
        ("The kiln is in hall Ember.", "In the garden.", ("f1",), "train")
    ]


def test_people_who_agree_make_one_row_that_names_them_all() -> None:
    snapshot = build_snapshot([Said("f1"), Said("f2", person_id="bo", text="the kiln is in hall Ember")])

    assert len(snapshot.rows) == 1
    assert snapshot.rows[0].person_ids == ("ada", "bo")
    assert snapshot.shares() == {"ada": 1.0, "bo": 1.0}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  \n ", "the answer is empty"),
        ("...", "the answer is empty"),
        ("x" * (MAX_CHARACTERS + 1), "the answer has 4001 characters; at most 4000 are allowed"),
        ("where is the KILN ?", "the answer repeats the question"),
    ],
)
def test_what_cannot_be_learned_is_refused_with_its_reason(text: str, reason: str) -> None:
    snapshot = build_snapshot([Said("f1", text=text)])

    assert snapshot.rows == ()
    assert [(each.feedback_id, each.rule, each.reason) for each in snapshot.left_out] == [("f1", "refused", reason)]
    assert snapshot.manifest["left_out"] == {"refused": 1}


def test_a_vote_on_an_empty_answer_and_a_correction_of_no_question_are_refused() -> None:
    snapshot = build_snapshot([vote("f1", "up", answer=" "), Said("f2", question=" ?")])

    assert left_out(snapshot) == {"f1": "refused", "f2": "refused"}


@pytest.mark.parametrize(
    ("text", "languages", "kept"),
    [
        ("Die Prüfprotokolle werden 400 Tage lang aufbewahrt.", ("en",), False),
        ("Die Prüfprotokolle werden 400 Tage lang aufbewahrt.", ("de", "en"), True),
        ("Die Prüfprotokolle werden 400 Tage lang aufbewahrt.", (), True),
        ("Frag Mira.", ("en",), True),
        ("Each lawyer may do 48 pro bono hours per year.", ("en",), True),
    ],
)
def test_an_answer_in_another_language_is_refused_only_when_that_is_clear(
    text: str,
    languages: tuple[str, ...],
    kept: bool,  # noqa: FBT001
) -> None:
    snapshot = build_snapshot([Said("f1", text=text)], CurationRules(languages=languages))

    assert bool(snapshot.rows) is kept
    if not kept:
        assert "reads as 'de'" in snapshot.left_out[0].reason


def test_a_bad_answer_in_another_language_is_still_a_bad_answer() -> None:
    german = "Die Prüfprotokolle werden 400 Tage lang aufbewahrt."
    snapshot = build_snapshot([vote("f1", "down", german), vote("f2", "up", german)], CurationRules(languages=("en",)))

    assert [(thumb.liked, thumb.feedback_ids) for thumb in snapshot.thumbs] == [(False, ("f1",))]
    assert left_out(snapshot) == {"f2": "refused"}


def test_equal_feedback_gives_an_equal_digest_and_a_changed_answer_another() -> None:
    feedback = [Said("f1"), Said("f2", question="Who fires it?", text="Ines fires it."), vote("f3", "up", "In Ember.")]

    assert build_snapshot(feedback).digest == build_snapshot(feedback[::-1]).digest
    assert build_snapshot(feedback).digest != build_snapshot([replace(feedback[0], text="Gone."), *feedback[1:]]).digest
    assert build_snapshot(feedback).digest != build_snapshot(feedback, CurationRules(held_out_share=0.1)).digest


def test_the_manifest_counts_what_was_read_written_and_left_out() -> None:
    feedback = [Said("f1"), Said("f2", text="In hall Oak.", created_at=later(1)), vote("f3", "down", "No idea.", "bo")]
    manifest = build_snapshot(feedback).manifest

    assert manifest["counts"] == {
        "feedback": 3, "corrections": 2, "votes": 1, "preferences": 0, "questions": 1,
        "rows": 1, "pairs": 2, "thumbs": 0, "contradictions": 0, "left_out": 1,
    }  # fmt: skip
    assert manifest["left_out"] == {"superseded": 1}
    assert manifest["splits"]["pairs"] == {"train": 2, "held_out": 0}
    assert manifest["policy"]["held_out_share"] == 0.2


def test_a_snapshot_comes_back_as_it_was_written(tmp_path: Path) -> None:
    snapshot = build_snapshot(
        [
            Said("f1", text="Im Öfenhaus,\n\n  Tür 3.\t"),
            Said("f2", question="Who?", text="Ines."),
            Said("f3", question="Who?", text="Mira.", person_id="bo"),
            vote("f4", "up", question="When?"),
        ]
    )
    assert all([snapshot.rows, snapshot.pairs, snapshot.thumbs, snapshot.contradictions, snapshot.left_out])

    write_snapshot(snapshot, tmp_path)

    assert read_snapshot(tmp_path) == snapshot


@pytest.mark.parametrize(("name", "old"), [("rows.jsonl", "Ember"), ("left_out.jsonl", "f2"), ("manifest.json", "0.2")])
def test_a_snapshot_that_was_changed_on_disk_is_not_used(tmp_path: Path, name: str, old: str) -> None:
    write_snapshot(build_snapshot([Said("f1"), Said("f2", text=" ")]), tmp_path)
    path = tmp_path / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, "0.3"))

    with pytest.raises(SnapshotError, match="was changed after it was built"):
        read_snapshot(tmp_path)


def test_a_snapshot_that_lacks_a_file_says_so(tmp_path: Path) -> None:
    write_snapshot(build_snapshot([Said("f1")]), tmp_path)
    (tmp_path / "pairs.jsonl").unlink()

    with pytest.raises(SnapshotError, match=r"pairs\.jsonl"):
        read_snapshot(tmp_path)


def test_characters_that_nobody_sees_make_no_other_question_and_are_not_learned() -> None:
    snapshot = build_snapshot(
        [
            Said("f1"),
            Said("f2", "bo", question="Where is\u200b the \u00adkiln?", text="\ufeffThe kiln is in hall Ember."),
        ]
    )

    assert [(row.answer, row.wordings, row.feedback_ids) for row in snapshot.rows] == [
        ("The kiln is in hall Ember.", (), ("f1", "f2"))
    ]


def test_a_question_that_is_given_back_with_courtesies_is_no_answer() -> None:
    snapshot = build_snapshot([Said("f1", text="can you tell me where's the kiln please")])

    assert left_out(snapshot) == {"f1": "refused"}
