from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from learning.curation import MAX_CHARACTERS, SnapshotError, build_snapshot, read_snapshot, write_snapshot

START = datetime(2026, 1, 5, tzinfo=UTC)


@dataclass(frozen=True)
class Said:
    id: str
    person_id: str = "ada"
    kind: str = "correction"
    question: str = "Where is the kiln?"
    answer: str = "In the garden."
    text: str = "The kiln is in hall Ember."
    private: bool = False
    created_at: datetime = START


def test_a_correction_becomes_a_row_and_a_preference_pair_that_name_their_feedback() -> None:
    snapshot = build_snapshot([Said("f1")])

    assert [(row.question, row.answer, row.feedback_ids, row.person_ids) for row in snapshot.rows] == [
        ("Where is the kiln?", "The kiln is in hall Ember.", ("f1",), ("ada",))
    ]
    assert [(pair.chosen, pair.rejected, pair.feedback_ids) for pair in snapshot.pairs] == [
        ("The kiln is in hall Ember.", "In the garden.", ("f1",))
    ]


def test_the_latest_correction_of_a_person_wins_whatever_the_order_it_arrives_in() -> None:
    earlier = Said("f1", text="In hall Ash.")
    later = Said("f2", question="where is  the kiln", text="In hall Oak.", created_at=START + timedelta(hours=1))

    for order in ([earlier, later], [later, earlier]):
        snapshot = build_snapshot(order)
        assert [(row.answer, row.feedback_ids) for row in snapshot.rows] == [("In hall Oak.", ("f2",))]
        assert snapshot.manifest["counts"]["superseded"] == 1


def test_a_correction_of_a_corrected_answer_replaces_it_even_by_somebody_else() -> None:
    first = Said("f1", text="In hall Ash.")
    second = Said("f2", person_id="bo", answer="In hall Ash.", text="In hall Oak.", created_at=START + timedelta(1))

    snapshot = build_snapshot([first, second])

    assert [row.answer for row in snapshot.rows] == ["In hall Oak."]
    assert snapshot.manifest["contradictions"] == []


def test_people_who_contradict_each_other_are_reported_and_not_trained_on() -> None:
    snapshot = build_snapshot([Said("f1", text="In hall Ash."), Said("f2", person_id="bo", text="In hall Oak.")])

    assert snapshot.rows == ()
    assert snapshot.manifest["contradictions"] == [
        {"question": "Where is the kiln?", "answers": {"f1": "In hall Ash.", "f2": "In hall Oak."}}
    ]


def test_people_who_agree_make_one_row_that_names_them_all() -> None:
    snapshot = build_snapshot([Said("f1"), Said("f2", person_id="bo", text="the kiln is in hall Ember")])

    assert len(snapshot.rows) == 1
    assert snapshot.rows[0].person_ids == ("ada", "bo")
    assert snapshot.shares() == {"ada": 1.0, "bo": 1.0}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("  \n ", "the corrected answer is empty"),
        ("x" * (MAX_CHARACTERS + 1), "the corrected answer has 4001 characters; at most 4000 are allowed"),
        ("where is the KILN ?", "the corrected answer repeats the question"),
    ],
)
def test_what_cannot_be_learned_is_refused_with_its_reason(text: str, reason: str) -> None:
    snapshot = build_snapshot([Said("f1", text=text)])

    assert snapshot.rows == ()
    assert snapshot.manifest["refused"] == [{"feedback_id": "f1", "reason": reason}]


def test_votes_are_counted_and_not_trained_on() -> None:
    snapshot = build_snapshot([Said("f1", kind="up", text=""), Said("f2", kind="down", text="")])

    assert snapshot.rows == ()
    assert snapshot.manifest["counts"]["feedback"] == 2


def test_equal_feedback_gives_an_equal_digest_and_a_changed_answer_another() -> None:
    feedback = [Said("f1"), Said("f2", question="Who fires it?", text="Ines fires it.")]

    assert build_snapshot(feedback).digest == build_snapshot(feedback[::-1]).digest
    assert build_snapshot(feedback).digest != build_snapshot([replace(feedback[0], text="Gone."), feedback[1]]).digest


def test_a_snapshot_comes_back_as_it_was_written(tmp_path: Path) -> None:
    snapshot = build_snapshot(
        [Said("f1", text="Im Öfenhaus,\n\n  Tür 3.\t"), Said("f2", question="Who?", text="Ines.")]
    )

    write_snapshot(snapshot, tmp_path)

    assert read_snapshot(tmp_path) == snapshot


def test_a_snapshot_that_was_changed_on_disk_is_not_used(tmp_path: Path) -> None:
    write_snapshot(build_snapshot([Said("f1")]), tmp_path)
    rows = tmp_path / "rows.jsonl"
    rows.write_text(rows.read_text().replace("Ember", "Amber"))

    with pytest.raises(SnapshotError, match="was changed after it was built"):
        read_snapshot(tmp_path)


def test_a_snapshot_that_lacks_a_file_says_so(tmp_path: Path) -> None:
    write_snapshot(build_snapshot([Said("f1")]), tmp_path)
    (tmp_path / "pairs.jsonl").unlink()

    with pytest.raises(SnapshotError, match=r"pairs\.jsonl"):
        read_snapshot(tmp_path)
