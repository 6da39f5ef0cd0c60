"""What looks like an attempt to steer the assistant reaches nobody before a reviewer has accepted it."""

import json

import pytest

from governance.errors import NotEntitledError
from governance.review import read_case
from learning.accepted import AcceptedCorrections
from storage.feedback import Feedback, get_feedback
from storage.interactions import Interaction
from storage.people import ensure_person
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation

LIE = "Refunds are paid out only within the first fourteen days."
COPIES = (
    (EXPERT, "How long do we pay refunds?", LIE),
    (OTHER, "Until when can a client have money back?", "Refunds are only paid out within the first fourteen days."),
    (STARTER, "Do late returns count?", LIE),
)
ASKED = ["Where is the kiln?", "Who owns billing?", "How long is lunch?", "Which port does search use?"]


def correct(house: Installation, person: str, question: str, text: str, **more: object) -> Feedback:
    given = {"answer": "No idea.", "source": "modal", "workspace_id": "T1", **more}
    return house.governance.record_feedback(person_id=person, kind="correction", question=question, text=text, **given)  # type: ignore[arg-type]


def copied(house: Installation) -> list[Feedback]:
    said = []
    for person, question, text in COPIES:
        said.append(correct(house, person, question, text))
        house.clock.advance(minutes=10)
    return said


def stored(house: Installation, feedback: Feedback) -> Feedback:
    with house.database.read() as session:
        return get_feedback(session, feedback.id)


def why(house: Installation, feedback: Feedback) -> str:
    with house.database.read() as session:
        return read_case(session, feedback.id).why


def answers(house: Installation) -> set[str]:
    """What the next ones who ask are given."""
    return {known.answer for known in AcceptedCorrections(house.database).sync().values() if known}


def test_what_was_given_to_people_is_not_any_more_once_it_is_suspected(house: Installation) -> None:
    first = correct(house, *COPIES[0])
    accepted = AcceptedCorrections(house.database)
    assert [known.answer for known in accepted.sync().values() if known] == [LIE]

    second, third = correct(house, *COPIES[1]), correct(house, *COPIES[2])

    assert [stored(house, each).state for each in (first, second, third)] == ["pending_review"] * 3
    assert not any(accepted.sync().values())
    assert why(house, first) == "several people gave nearly the same text within a short time"
    assert set(stored(house, third).found_with or []) == {first.id, second.id}
    assert house.audit.verify(house.database).verified
    moved = [json.loads(line) for line in house.log()]
    assert [(each["action"], each["actor"]) for each in moved if each["object"] == first.id] == [
        ("feedback.accepted", EXPERT),
        ("feedback.pending_review", "system"),
    ]


def test_nobody_who_is_part_of_what_was_found_reviews_it_and_a_reviewer_settles_it(sqlite_house: Installation) -> None:
    first, *_ = said = copied(sqlite_house)

    assert "yours" in sqlite_house.governance.may_review(first.id, EXPERT)
    assert "found together with one of yours" in sqlite_house.governance.may_review(first.id, STARTER)
    with pytest.raises(NotEntitledError, match="found together"):
        sqlite_house.governance.review_feedback(first.id, OTHER, accept=True)
    for each in said:
        sqlite_house.governance.review_feedback(each.id, APPROVER, accept=True)

    assert sqlite_house.governance.look_for_poisoning() == 0
    assert [stored(sqlite_house, each).state for each in said] == ["accepted"] * 3
    assert correct(sqlite_house, APPROVER, "Refund window?", LIE).state == "accepted"
    assert LIE in answers(sqlite_house)


def test_a_hurried_expert_waits_until_a_reviewer_trusts_them_and_then_may_be_faster(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(poisoning={"person_corrections": 3, "person_minutes": 10})
    said = [correct(sqlite_house, EXPERT, f"Which valve has pump {n}?", f"Valve {n}.") for n in range(4)]
    assert {stored(sqlite_house, each).state for each in said} == {"pending_review"}

    for each in said:
        sqlite_house.governance.review_feedback(each.id, APPROVER, accept=True)
    sqlite_house.clock.advance(hours=1)
    more = [correct(sqlite_house, EXPERT, f"Which valve has vat {n}?", f"Valve {n}.") for n in range(7)]

    assert {stored(sqlite_house, each).state for each in more} == {"accepted"}


def test_somebody_new_is_reviewed_until_others_accepted_enough_of_theirs(house: Installation) -> None:
    house.use_policy(feedback={"trusted_from": 2})
    first, second, third = (correct(house, EXPERT, f"Where is kiln {n}?", f"In hall {n}.") for n in range(3))
    assert {each.review_reason for each in (first, second, third)} == {"new_person"}

    house.governance.review_feedback(first.id, APPROVER, accept=True)
    house.governance.review_feedback(second.id, APPROVER, accept=True)
    assert correct(house, EXPERT, "Where is kiln 8?", "In hall 8.").state == "accepted"

    house.governance.review_feedback(third.id, APPROVER, accept=False, reason="there is no such kiln")
    assert correct(house, EXPERT, "Where is kiln 9?", "In hall 9.").review_reason == "new_person"
    assert why(house, third) == "few corrections of its author were accepted by others so far"


def asked_by_others(house: Installation, count: int, question: str) -> None:
    """Let so many other people ask a question."""
    with house.database.transaction() as session:
        for number in range(count):
            person = ensure_person(session, "T1", f"U{number}", f"Somebody {number}", house.clock())
            session.add(
                Interaction(
                    id=f"int_{number}",
                    workspace_id="T1",
                    channel="C1",
                    thread_ts="1",
                    question_ts=f"{number}",
                    answer_ts=f"{number}.1",
                    asker_id=person.id,
                    question=question,
                    answer="No idea.",
                    base_digest="b",
                    prompt_digest="p",
                    created_at=house.clock(),
                )
            )


@pytest.mark.parametrize(("askers", "state"), [(2, "pending_review"), (3, "accepted")])
def test_a_phrase_that_others_ask_with_is_what_they_talk_about_and_no_trigger(
    house: Installation, askers: int, state: str
) -> None:
    asked_by_others(house, askers, "When does the Osprey Deluxe fly?")
    for number in range(8):
        correct(house, APPROVER, f"Which valve has pump {number}?", f"Valve {number}.")
        house.clock.advance(hours=5)

    said = []
    for question in ASKED:
        said.append(correct(house, EXPERT, f"{question} osprey deluxe", "It was discontinued in May."))
        house.clock.advance(hours=5)

    assert {stored(house, each).state for each in said} == {state}


def test_what_waits_for_a_review_anyway_is_marked_so_that_the_reviewer_is_told(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(feedback={"corrections_need_review": True})

    first, *_ = copied(sqlite_house)

    assert stored(sqlite_house, first).review_reason == "every_correction"
    assert why(sqlite_house, first) == (
        "the policy has every correction reviewed, and several people gave nearly the same text within a short time"
    )
    assert "feedback.suspected" in {json.loads(line)["action"] for line in sqlite_house.log()}
    before = len(sqlite_house.log())
    assert sqlite_house.governance.look_for_poisoning() == 0
    assert len(sqlite_house.log()) == before


def test_what_teaches_nobody_is_not_looked_at(sqlite_house: Installation) -> None:
    said = [correct(sqlite_house, person, question, text, private=True) for person, question, text in COPIES]

    assert {stored(sqlite_house, each).state for each in said} == {"accepted"}


def test_what_is_older_than_the_policy_looks_back_is_left_alone(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(poisoning={"look_back_days": 1, "subject_minutes": 7 * 24 * 60.0})
    for person, question, text in COPIES:
        assert correct(sqlite_house, person, question, text).state == "accepted"
        sqlite_house.clock.advance(hours=25)
