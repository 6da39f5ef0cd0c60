"""What one question's feedback comes to: corrections in force, contradictions, and votes."""

from dataclasses import replace

import pytest

from governance.policy import CurationRules
from learning.curation import Snapshot, build_snapshot
from tests.learning.curation.said import Said, later, left_out, vote

ASH, OAK, ELM = "In hall Ash.", "In hall Oak.", "In hall Elm."
TRAIN = CurationRules(held_out_share=0)


def settled(said: Said, hours: float) -> Said:
    return replace(said, review_reason="contradiction", reviewed_at=later(hours))


def learned(snapshot: Snapshot) -> list[tuple[str, tuple[str, ...]]]:
    return [(row.answer, row.feedback_ids) for row in snapshot.rows]


# Corrections


def test_the_latest_correction_of_a_person_wins_whatever_the_order_it_arrives_in() -> None:
    earlier = Said("f1", text=ASH)
    latest = Said("f2", question="where is  the kiln", text=OAK, created_at=later(1))

    for order in ([earlier, latest], [latest, earlier]):
        snapshot = build_snapshot(order)
        assert learned(snapshot) == [(OAK, ("f2",))]
        assert left_out(snapshot) == {"f1": "superseded"}
        assert snapshot.left_out[0].reason == "superseded by f2"


def test_a_correction_of_a_corrected_answer_replaces_it_even_by_somebody_else() -> None:
    first = Said("f1", text=ASH)
    second = Said("f2", "bo", answer="in hall ash", text=OAK, created_at=later(1))

    snapshot = build_snapshot([first, second])

    assert learned(snapshot) == [(OAK, ("f2",))]
    assert snapshot.contradictions == ()


@pytest.mark.parametrize("question", ["Where is the kiln?", "where's our kiln please"])
def test_people_who_contradict_each_other_are_reported_and_not_trained_on(question: str) -> None:
    snapshot = build_snapshot([Said("f1", text=ASH), Said("f2", "bo", question=question, text=OAK)])

    assert (snapshot.rows, snapshot.pairs) == ((), ())
    assert [each.feedback_ids for each in snapshot.contradictions] == [("f1", "f2")]
    assert left_out(snapshot) == {"f1": "contradiction", "f2": "contradiction"}


def test_votes_on_a_disputed_question_wait_with_it() -> None:
    snapshot = build_snapshot([Said("f1", text=ASH), Said("f2", "bo", text=OAK), vote("f3", "up", ASH, "cy")])

    assert snapshot.thumbs == ()
    assert left_out(snapshot)["f3"] == "contradiction"


def test_what_a_reviewer_accepted_stands_against_what_comes_later_and_that_goes_to_review() -> None:
    accepted = settled(Said("f1", text=ASH), 1)
    snapshot = build_snapshot([accepted, Said("f2", "bo", answer=ASH, text=OAK, created_at=later(2))])

    assert learned(snapshot) == [(ASH, ("f1",))]
    assert [(each.feedback_ids, each.stands) for each in snapshot.contradictions] == [(("f2",), ("f1",))]


def test_of_two_that_reviewers_accepted_the_later_decision_stands() -> None:
    snapshot = build_snapshot([settled(Said("f1", text=ASH), 9), settled(Said("f2", "bo", text=OAK), 3)])

    assert learned(snapshot) == [(ASH, ("f1",))]
    assert snapshot.contradictions == ()
    assert left_out(snapshot) == {"f2": "superseded"}


def test_who_agrees_with_what_a_reviewer_accepted_stands_with_it() -> None:
    snapshot = build_snapshot(
        [settled(Said("f1", text=ASH), 1), Said("f2", "bo", text=ASH), Said("f3", "cy", text=OAK)]
    )

    assert learned(snapshot) == [(ASH, ("f1", "f2"))]
    assert [each.feedback_ids for each in snapshot.contradictions] == [("f3",)]


def test_misspelled_questions_that_disagree_are_asked_about_and_stand_both_once_both_are_accepted() -> None:
    one = Said("f1", question="What is the christiansen rule?", text="No fires.")
    other = Said("f2", question="What is the christiansenn rule?", text="No dogs.", created_at=later(1))

    asked = build_snapshot([one, other])
    decided = build_snapshot([settled(one, 2), settled(other, 3)])

    assert [each.feedback_ids for each in asked.contradictions] == [("f1", "f2")]
    assert learned(decided) == [("No fires.", ("f1",)), ("No dogs.", ("f2",))]


# Votes


def test_what_was_liked_is_preferred_to_what_was_not() -> None:
    snapshot = build_snapshot([vote("f1", "up", ASH), vote("f2", "down", OAK, "bo")], TRAIN)

    assert [(pair.chosen, pair.rejected, pair.feedback_ids, pair.split) for pair in snapshot.pairs] == [
        (ASH, OAK, ("f1", "f2"), "train")
    ]
    assert (snapshot.rows, snapshot.thumbs) == ((), ())


@pytest.mark.parametrize(("kind", "liked"), [("up", True), ("down", False)])
def test_a_lone_thumb_stays_one(kind: str, liked: bool) -> None:  # noqa: FBT001
    snapshot = build_snapshot([vote("f1", kind, ASH)], TRAIN)

    assert [(thumb.answer, thumb.liked, thumb.feedback_ids) for thumb in snapshot.thumbs] == [(ASH, liked, ("f1",))]
    assert snapshot.pairs == ()


def test_the_latest_vote_of_a_person_on_an_answer_counts() -> None:
    snapshot = build_snapshot([vote("f1", "up", ASH), vote("f2", "down", ASH, created_at=later(1))])

    assert [(thumb.liked, thumb.feedback_ids) for thumb in snapshot.thumbs] == [(False, ("f2",))]
    assert left_out(snapshot) == {"f1": "superseded"}


def test_the_majority_counts_and_how_often_people_disagreed_is_measured() -> None:
    votes = [vote("f1", "up", ASH, "ada"), vote("f2", "up", ASH, "bo"), vote("f3", "down", ASH, "cy")]
    tie = [vote("f4", "up", OAK, "ada"), vote("f5", "down", OAK, "bo")]

    snapshot = build_snapshot([*votes, *tie])

    assert [(thumb.answer, thumb.feedback_ids) for thumb in snapshot.thumbs] == [(ASH, ("f1", "f2"))]
    assert left_out(snapshot) == {"f3": "outvoted", "f4": "divided", "f5": "divided"}
    assert snapshot.manifest["measured"] == {"votes": 5, "outvoted_or_divided": 2, "near_trained": 0}


def test_the_best_liked_answer_is_chosen_over_each_that_was_not_and_the_others_stay_thumbs() -> None:
    votes = [
        vote("f1", "up", ASH, "ada"), vote("f2", "up", ASH, "bo"), vote("f3", "up", OAK, "cy"),
        vote("f4", "down", ELM, "ada"), vote("f5", "down", "No idea.", "bo"),
    ]  # fmt: skip
    snapshot = build_snapshot(votes)

    assert {(pair.chosen, pair.rejected) for pair in snapshot.pairs} == {(ASH, ELM), (ASH, "No idea.")}
    assert [(thumb.answer, thumb.liked) for thumb in snapshot.thumbs] == [(OAK, True)]


def test_a_correction_is_preferred_to_every_answer_that_was_rejected_or_voted_down() -> None:
    snapshot = build_snapshot([Said("f1", answer=ASH, text=ELM), vote("f2", "down", OAK, "bo")])

    assert {(pair.chosen, pair.rejected, pair.feedback_ids) for pair in snapshot.pairs} == {
        (ELM, ASH, ("f1",)),
        (ELM, OAK, ("f1", "f2")),
    }


def test_votes_that_a_correction_speaks_against_are_left_out_and_those_for_it_kept() -> None:
    said = [Said("f1", text=ELM), vote("f2", "up", OAK, "bo"), vote("f3", "up", ELM, "cy"), vote("f4", "up", ELM, "di")]
    snapshot = build_snapshot(said)

    assert left_out(snapshot) == {"f2": "corrected"}
    assert [(thumb.answer, thumb.feedback_ids) for thumb in snapshot.thumbs] == [(ELM, ("f3", "f4"))]


def test_who_corrects_an_answer_has_no_other_vote_on_it() -> None:
    snapshot = build_snapshot([vote("f1", "up", ASH), Said("f2", answer=ASH, text=OAK, created_at=later(1))])

    assert left_out(snapshot) == {"f1": "superseded"}
    assert [(pair.rejected, pair.feedback_ids) for pair in snapshot.pairs] == [(ASH, ("f2",))]


# Sides


def test_votes_are_held_out_by_question_at_the_policy_s_share_and_stay_there() -> None:
    votes = [
        vote(f"f{number}.{kind}", kind, f"{kind} {number}", person, question=f"What is rule {number}?")
        for number in range(1_000)
        for kind, person in (("up", "ada"), ("down", "bo"))
    ]
    snapshot = build_snapshot(votes)
    of_half = {pair.question: pair.split for pair in build_snapshot(votes[:1_000]).pairs}

    held_out = sum(pair.split == "held_out" for pair in snapshot.pairs)
    assert 150 < held_out < 250  # 200 +- 4 standard deviations of a binomial of 1,000 at 0.2
    assert {pair.question: pair.split for pair in snapshot.pairs} | of_half == {
        pair.question: pair.split for pair in snapshot.pairs
    }
    assert snapshot.manifest["splits"]["pairs"] == {"train": 1_000 - held_out, "held_out": held_out}


def test_whatever_is_said_of_one_question_is_on_one_side() -> None:
    votes = [
        vote(f"f{number}.{place}", "up", f"{number} {place}", question=asked.format(number))
        for number in range(50)
        for place, asked in enumerate(("What is rule {}?", "what's the rule {} please", "WHAT IS RULE {}"))
    ]
    sides: dict[str, set[str]] = {}
    for thumb in build_snapshot(votes, CurationRules(held_out_share=0.5)).thumbs:
        sides.setdefault(thumb.answer.split()[0], set()).add(thumb.split)

    assert len(sides) == 50
    assert all(len(side) == 1 for side in sides.values())
    assert {side for both in sides.values() for side in both} == {"train", "held_out"}


def test_a_question_that_has_a_correction_is_trained_on_with_all_that_was_said_of_it() -> None:
    said = [Said("f1", text=ELM), vote("f2", "down", OAK, "bo"), vote("f3", "up", ELM, "cy")]
    everything_held_out = CurationRules(held_out_share=0.5)

    for number in range(20):
        asked = [replace(each, question=f"What is rule {number}?") for each in said]
        snapshot = build_snapshot(asked, everything_held_out)
        assert {record.split for record in (*snapshot.pairs, *snapshot.thumbs)} == {"train"}


@pytest.mark.parametrize("shared", [{}, {"kind": "up", "text": ""}])
def test_a_question_is_not_held_out_that_is_trained_on_in_other_words(shared: dict[str, str]) -> None:
    held = CurationRules(held_out_share=0.5)
    for number in range(30):
        vote_only = vote("f1", "up", "On nine.", question=f"What port does billing{number} use?")
        alone = build_snapshot([vote_only], held)
        trained = Said("f2", "bo", question=f"Port of billing{number}", text="Nine.", answer="On two.")
        both = build_snapshot([vote_only, replace(trained, **shared)], held)

        sides = {thumb.split for thumb in both.thumbs}
        assert len(sides) == 1
        if not shared:
            assert sides == {"train"}
            assert both.manifest["measured"]["near_trained"] == (alone.thumbs[0].split == "held_out")


def test_a_spelling_that_comes_later_does_not_move_a_question_to_the_other_side() -> None:
    held = CurationRules(held_out_share=0.5)
    for number in range(30):
        first = vote("f1", "up", ASH, question=f"Where is accessibility {number} taught?")
        later_one = vote("f2", "up", ASH, "bo", question=f"Where is accesibility {number} taught?", created_at=later(1))

        before, after = build_snapshot([first], held), build_snapshot([first, later_one], held)

        assert len(after.thumbs) == 1
        assert after.thumbs[0].split == before.thumbs[0].split
