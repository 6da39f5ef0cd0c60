"""What is reviewed before it teaches an adapter, by whom, and what becomes of contradictions."""

import json

import pytest

from governance.errors import NotEntitledError
from learning.dataset import Dataset, build_dataset
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.errors import IllegalStateError
from storage.feedback import Feedback, FeedbackKind, count_corrections, get_feedback
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation

ASH, OAK, ELM = "In hall Ash.", "In hall Oak.", "In hall Elm."


def say(
    house: Installation, text: str, person: str = EXPERT, *, kind: FeedbackKind = "correction", private: bool = False
) -> Feedback:
    return house.governance.record_feedback(
        workspace_id="T1",
        person_id=person,
        kind=kind,
        question="Where is the kiln?",
        answer="No idea.",
        text=text,
        source="modal",
        private=private,
    )


def build(house: Installation) -> Dataset:
    return build_dataset(house.database, ArtifactStore(house.folder / "artifacts"), house.governance, "operator")


def stored(database: Database, feedback: Feedback) -> Feedback:
    with database.read() as session:
        return get_feedback(session, feedback.id)


@pytest.mark.parametrize(
    ("rules", "person", "private", "why"),
    [
        ({}, EXPERT, True, None),
        ({"corrections_need_review": True}, EXPERT, False, "every_correction"),
        ({"trusted": ["U_EXPERT"]}, EXPERT, False, None),
        ({"trusted": ["U_EXPERT"]}, OTHER, False, "not_trusted"),
        ({"trusted": ["*"]}, OTHER, False, None),
        ({"private_need_review": True}, EXPERT, True, "private"),
        ({"private_need_review": True}, EXPERT, False, None),
    ],
)
def test_the_policy_says_which_corrections_wait(
    sqlite_house: Installation,
    rules: dict[str, object],
    person: str,
    private: bool,  # noqa: FBT001
    why: str | None,
) -> None:
    sqlite_house.use_policy(feedback=rules)

    said = say(sqlite_house, ASH, person, private=private)

    assert (said.review_reason, said.state) == (why, "pending_review" if why else "accepted")
    assert say(sqlite_house, "", person, kind="up", private=private).state == "accepted"


def test_contradictions_wait_and_whoever_is_part_of_one_may_not_decide(house: Installation) -> None:
    ash, oak = say(house, ASH, EXPERT), say(house, OAK, OTHER)

    built = build(house)

    assert (built.rows, built.sent_to_review) == (0, 2)
    waiting = stored(house.database, ash)
    assert (waiting.state, waiting.review_reason, waiting.contradicts) == ("pending_review", "contradiction", [oak.id])
    for person in (EXPERT, OTHER):
        with pytest.raises(NotEntitledError, match="yours"):
            house.governance.review_feedback(ash.id, person, accept=True)
    house.governance.review_feedback(ash.id, APPROVER, accept=True)
    house.governance.review_feedback(oak.id, APPROVER, accept=False, reason="moved in May")
    assert (build(house).rows, build(house).sent_to_review) == (1, 0)


def test_what_was_accepted_in_review_goes_on_while_a_new_contradiction_waits(house: Installation) -> None:
    ash, oak = say(house, ASH, EXPERT), say(house, OAK, OTHER)
    build(house)
    house.governance.review_feedback(ash.id, APPROVER, accept=True)
    elm = say(house, ELM, STARTER)

    built = build(house)

    assert (built.rows, built.sent_to_review) == (1, 1)
    assert stored(house.database, ash).state == "accepted"
    assert stored(house.database, elm).contradicts == [ash.id]
    house.governance.review_feedback(elm.id, APPROVER, accept=True)
    house.governance.review_feedback(oak.id, APPROVER, accept=False, reason="no")
    assert build(house).manifest["left_out"] == {"superseded": 1}


def test_a_contradiction_of_what_was_declined_meanwhile_changes_nothing(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(feedback={"corrections_need_review": True})
    waiting = say(sqlite_house, ASH)

    assert sqlite_house.governance.contest_feedback([((waiting.id, "fb_gone"), ())]) == 0
    assert stored(sqlite_house.database, waiting).review_reason == "every_correction"


def test_each_step_of_a_review_is_in_the_log_and_no_word_of_it(house: Installation) -> None:
    ash = say(house, ASH, EXPERT)
    say(house, OAK, OTHER)
    build(house)
    house.governance.review_feedback(ash.id, APPROVER, accept=True, reason="I was there")

    records = [json.loads(line) for line in house.log()]
    assert [(each["action"], each["actor"]) for each in records if each["object"] == ash.id] == [
        ("feedback.accepted", EXPERT),
        ("feedback.pending_review", "system"),
        ("feedback.accepted", APPROVER),
    ]
    assert [each["actor"] for each in records if each["action"] == "dataset.built"] == ["operator"]
    assert "there" not in "".join(house.log())


def test_a_decision_is_kept_with_who_made_it_and_is_made_once(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(feedback={"corrections_need_review": True})
    said = say(sqlite_house, ASH)

    sqlite_house.governance.review_feedback(said.id, APPROVER, accept=False, reason="wrong hall")

    kept = stored(sqlite_house.database, said)
    assert (kept.state, kept.reviewed_by, kept.reviewer_reason) == ("declined", APPROVER, "wrong hall")
    assert kept.reviewed_at is not None
    with pytest.raises(IllegalStateError, match="does not wait for a review: it is declined"):
        sqlite_house.governance.review_feedback(said.id, OTHER, accept=True)
    assert stored(sqlite_house.database, said).reviewed_by == APPROVER


def test_whoever_may_not_review_is_told_why_before_they_try(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(feedback={"corrections_need_review": True, "reviewers": ["U_APPROVER", "U_EXPERT"]})
    said = say(sqlite_house, ASH)

    assert "yours" in sqlite_house.governance.may_review(said.id, EXPERT)
    assert "does not let you review" in sqlite_house.governance.may_review(said.id, OTHER)
    assert sqlite_house.governance.may_review(said.id, APPROVER) == ""
    sqlite_house.governance.review_feedback(said.id, APPROVER, accept=True)
    assert "it is accepted" in sqlite_house.governance.may_review(said.id, APPROVER)


def test_what_goes_back_to_review_keeps_nothing_of_an_earlier_decision(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(feedback={"corrections_need_review": True})
    ash, oak = say(sqlite_house, ASH, EXPERT), say(sqlite_house, OAK, OTHER)
    for each in (ash, oak):
        sqlite_house.governance.review_feedback(each.id, APPROVER, accept=True, reason="I was there")
    sqlite_house.governance.contest_feedback([((ash.id, oak.id), ())])

    again = stored(sqlite_house.database, ash)
    assert (again.state, again.reviewed_by, again.reviewed_at, again.reviewer_reason) == (
        "pending_review",
        None,
        None,
        None,
    )


def test_a_correction_that_waited_counts_as_new_from_its_acceptance(house: Installation) -> None:
    house.use_policy(feedback={"corrections_need_review": True})
    said = say(house, ASH)
    last_run = house.clock()
    house.governance.review_feedback(said.id, APPROVER, accept=True)

    with house.database.read() as session:
        assert count_corrections(session, after=last_run) == 1
        assert count_corrections(session, after=house.clock()) == 0


def test_a_snapshot_is_built_from_either_database_and_is_the_same_again(house: Installation) -> None:
    for number in range(30):
        house.governance.record_feedback(
            workspace_id="T1", person_id=EXPERT, kind="correction", question=f"What is rule {number}?", answer="?",
            text=f"Rule {number}.", source="modal", feedback_id=f"f{number:02}",
        )  # fmt: skip
    built = build(house)

    assert built.rows == 30
    assert built.digest == build(house).digest
