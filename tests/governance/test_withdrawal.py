"""Who may take back what was said, and what is left of it."""

import json

import pytest

from governance.errors import NotEntitledError
from learning.dataset import build_dataset
from storage.artifacts import ArtifactStore
from storage.audit import read_audit_records
from storage.errors import IllegalStateError, InvalidFeedbackError
from storage.feedback import Feedback, FeedbackKind, get_feedback, list_feedback, standing_votes
from storage.interactions import Interaction
from tests.governance.installation import APPROVER, EXPERT, OTHER, Installation

ANSWERS = ("qa_1", "qa_2")


@pytest.fixture(autouse=True)
def answered(house: Installation) -> None:
    """Keep two answers to one question."""
    with house.database.transaction() as session:
        for place, interaction_id in enumerate(ANSWERS):
            session.add(
                Interaction(
                    id=interaction_id, workspace_id="T1", channel="C1", thread_ts="1.1", question_ts=f"1.{place}",
                    answer_ts=f"2.{place}", asker_id=OTHER, question="Where is the kiln?", answer="No idea.",
                    base_digest="base", prompt_digest="prompt", created_at=house.clock(),
                )
            )  # fmt: skip


def say(
    house: Installation,
    kind: FeedbackKind,
    person: str = EXPERT,
    *,
    text: str = "",
    about: str = ANSWERS[0],
    reason: str | None = None,
) -> Feedback:
    return house.governance.record_feedback(
        workspace_id="T1",
        person_id=person,
        kind=kind,
        question="Where is the kiln?",
        answer="No idea.",
        text=text,
        reason=reason,
        interaction_id=about,
        source="slack",
    )


def states(house: Installation) -> list[str]:
    with house.database.read() as session:
        return [row.state for row in list_feedback(session)]


def test_a_vote_is_taken_back_with_the_earlier_ones_of_that_person_on_that_answer(house: Installation) -> None:
    older, others, elsewhere = say(house, "up"), say(house, "up", OTHER), say(house, "up", about=ANSWERS[1])
    newer = say(house, "down")

    taken = house.governance.withdraw_feedback(newer.id, EXPERT)

    assert [each.id for each in taken] == [older.id, newer.id]
    assert states(house) == ["withdrawn", "accepted", "accepted", "withdrawn"]
    with house.database.read() as session:
        assert standing_votes(session, ANSWERS[0], EXPERT) == []
        assert [each.id for each in standing_votes(session, ANSWERS[0], OTHER)] == [others.id]
        assert [each.id for each in standing_votes(session, ANSWERS[1], EXPERT)] == [elsewhere.id]


def test_a_correction_is_taken_back_alone(house: Installation) -> None:
    say(house, "down")
    say(house, "correction", text="In hall Ash.")
    last = say(house, "correction", text="In hall Oak.")

    house.governance.withdraw_feedback(last.id, EXPERT)

    assert states(house) == ["accepted", "accepted", "withdrawn"]


def test_only_who_said_it_may_take_it_back(house: Installation) -> None:
    said = say(house, "up")

    with pytest.raises(NotEntitledError, match="not yours"):
        house.governance.withdraw_feedback(said.id, OTHER)

    assert states(house) == ["accepted"]


def test_taking_it_back_is_recorded_once_with_who_did_it(house: Installation) -> None:
    said = say(house, "up")

    for _ in range(2):
        assert house.governance.withdraw_feedback(said.id, EXPERT)[-1].id == said.id

    with house.database.read() as session:
        bodies = [json.loads(record.body) for record in read_audit_records(session, 0)]
    assert [(body["actor"], body["object"]) for body in bodies if body["action"] == "feedback.withdrawn"] == [
        (EXPERT, said.id)
    ]


def test_what_waits_for_review_can_be_taken_back_and_is_then_not_accepted(house: Installation) -> None:
    house.use_policy(feedback={"corrections_need_review": True})
    waiting = say(house, "correction", text="In hall Ash.")

    house.governance.withdraw_feedback(waiting.id, EXPERT)

    with pytest.raises(IllegalStateError, match="it is withdrawn"):
        house.governance.review_feedback(waiting.id, APPROVER, accept=True)


def test_what_was_taken_back_is_in_no_data_set(house: Installation) -> None:
    ash = say(house, "correction", text="In hall Ash.")
    oak = say(house, "correction", OTHER, text="In hall Oak.")
    store = ArtifactStore(house.folder / "artifacts")

    house.governance.withdraw_feedback(ash.id, EXPERT)
    built = build_dataset(house.database, store, house.governance, "operator")

    assert (built.rows, built.sent_to_review) == (1, 0)
    assert ash.id not in (store.path(built.digest) / "rows.jsonl").read_text()
    assert oak.id in (store.path(built.digest) / "rows.jsonl").read_text()


def test_a_vote_that_is_given_a_reason_counts_as_one(house: Installation) -> None:
    say(house, "down")
    reasoned = say(house, "down", reason="outdated")
    say(house, "up", OTHER)

    built = build_dataset(house.database, ArtifactStore(house.folder / "artifacts"), house.governance, "operator")

    assert built.manifest["left_out"] == {"divided": 2, "superseded": 1}
    with house.database.read() as session:
        assert get_feedback(session, reasoned.id).reason == "outdated"


@pytest.mark.parametrize(("kind", "reason"), [("up", "wrong"), ("correction", "wrong"), ("down", "boring")])
def test_only_a_vote_against_an_answer_has_a_reason_and_only_a_known_one(
    house: Installation, kind: FeedbackKind, reason: str
) -> None:
    with pytest.raises(InvalidFeedbackError, match="reason"):
        say(house, kind, text="In hall Ash.", reason=reason)
    assert states(house) == []
