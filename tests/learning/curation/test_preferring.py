"""Choices between two answers: who outvotes whom, and what else was said of the question."""

import pytest

from governance.policy import CurationRules
from learning.curation import Snapshot, build_snapshot
from tests.learning.curation.said import Said, later, left_out, vote

ASH, OAK, ELM = "In hall Ash.", "In hall Oak.", "In hall Elm."
TRAIN = CurationRules(held_out_share=0)


def prefer(feedback_id: str, better: str, worse: str, person_id: str = "ada", hours: float = 0, **more: object) -> Said:
    said = {"kind": "preference", "answer": worse, "text": better, "created_at": later(hours), **more}
    return Said(feedback_id, person_id, **said)  # type: ignore[arg-type]


def pairs(snapshot: Snapshot) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(pair.chosen, pair.rejected, pair.feedback_ids) for pair in snapshot.pairs]


def test_a_choice_is_a_pair_and_says_nothing_of_either_answer_alone() -> None:
    snapshot = build_snapshot([prefer("f1", ASH, OAK)], TRAIN)

    assert pairs(snapshot) == [(ASH, OAK, ("f1",))]
    assert (snapshot.rows, snapshot.thumbs, snapshot.left_out) == ((), (), ())
    assert snapshot.manifest["counts"]["preferences"] == 1


def test_it_is_held_out_with_its_question() -> None:
    kept = [build_snapshot([prefer("f1", ASH, OAK, question=f"What is {n}?")]) for n in map(str, range(40))]
    assert {snapshot.pairs[0].split for snapshot in kept} == {"train", "held_out"}


def test_the_latest_choice_of_a_person_counts_and_of_several_people_the_majority() -> None:
    changed = build_snapshot([prefer("f1", ASH, OAK), prefer("f2", OAK, ASH, hours=1)], TRAIN)
    assert (pairs(changed), left_out(changed)) == ([(OAK, ASH, ("f2",))], {"f1": "superseded"})

    three = [prefer("f1", ASH, OAK), prefer("f2", OAK, ASH, "bo"), prefer("f3", "in hall ash", OAK, "cy", 1)]
    snapshot = build_snapshot(three, TRAIN)
    assert (pairs(snapshot), left_out(snapshot)) == ([(ASH, OAK, ("f1", "f3"))], {"f2": "outvoted"})
    assert snapshot.manifest["measured"] == {"votes": 3, "outvoted_or_divided": 1, "near_trained": 0}


def test_as_many_for_the_one_as_for_the_other_decide_nothing() -> None:
    snapshot = build_snapshot([prefer("f1", ASH, OAK), prefer("f2", OAK, ASH, "bo")], TRAIN)
    assert (pairs(snapshot), left_out(snapshot)) == ([], {"f1": "divided", "f2": "divided"})


def test_an_answer_that_more_people_voted_against_is_not_taught_by_a_choice() -> None:
    snapshot = build_snapshot([prefer("f1", ASH, OAK), vote("f2", "down", ASH, "bo")], TRAIN)
    assert (pairs(snapshot), left_out(snapshot)) == ([], {"f1": "outvoted"})
    assert [(thumb.answer, thumb.liked) for thumb in snapshot.thumbs] == [(ASH, False)]


def test_what_votes_and_choices_agree_on_is_one_pair() -> None:
    said = [prefer("f1", ASH, OAK), vote("f2", "up", ASH, "bo"), vote("f3", "down", OAK, "cy")]
    assert pairs(build_snapshot(said, TRAIN)) == [(ASH, OAK, ("f2", "f3", "f1"))]


def test_of_a_corrected_question_only_choices_of_the_correction_count() -> None:
    said = [
        Said("f1", answer=ASH, text=ELM),
        prefer("f2", ASH, OAK, "bo"),
        prefer("f3", ELM, OAK, "cy"),
    ]
    snapshot = build_snapshot(said, TRAIN)
    assert set(pairs(snapshot)) == {(ELM, ASH, ("f1",)), (ELM, OAK, ("f1", "f3"))}
    assert left_out(snapshot) == {"f2": "corrected"}


def test_choices_on_a_disputed_question_wait_with_it() -> None:
    said = [Said("f1", text=ASH), Said("f2", "bo", text=OAK), prefer("f3", ASH, ELM, "cy")]
    assert left_out(build_snapshot(said, TRAIN))["f3"] == "contradiction"


@pytest.mark.parametrize(
    ("better", "worse"), [(ASH, "in hall ash"), (ASH, ""), ("", OAK), ("Wir backen um acht Uhr unser Brot.", OAK)]
)
def test_what_is_no_choice_or_would_teach_another_language_is_refused(better: str, worse: str) -> None:
    rules = CurationRules(held_out_share=0, languages=("en",))
    snapshot = build_snapshot([prefer("f1", better, worse)], rules)
    assert (pairs(snapshot), left_out(snapshot)) == ([], {"f1": "refused"})


def test_one_person_s_choices_are_cut_back_as_their_votes_are() -> None:
    rules = CurationRules(held_out_share=0, max_person_share=0.3, cap_from=2, always_kept=1)
    said = [prefer(f"f{number}", ASH, OAK, question=f"Where is tower{number}x?", hours=number) for number in range(9)]
    said.append(prefer("g1", ASH, OAK, "bo", question="Who paints boats?"))
    snapshot = build_snapshot(said, rules)
    assert set(left_out(snapshot).values()) == {"person_share"}
    assert {"g1", "f0"} <= {each for _, _, ids in pairs(snapshot) for each in ids}
