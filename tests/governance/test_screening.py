"""Personal data in feedback: masked before it is kept, or set aside until a reviewer decided, as the policy says."""

import json
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import select

from learning.curation import read_snapshot
from learning.dataset import Dataset, build_dataset
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.feedback import Feedback, get_feedback
from storage.tables import metadata
from tests.governance.installation import APPROVER, EXPERT, OTHER, Installation

CARD = "4111 1111 1111 1111"
PHONE = "+49 30 901820"


def say(house: Installation, text: str, person: str = EXPERT, **changes: Any) -> Feedback:
    said: dict[str, Any] = {"kind": "correction", "question": "Where is the kiln?", "answer": "No idea."} | changes
    return house.governance.record_feedback(workspace_id="T1", person_id=person, text=text, source="slack", **said)


def build(house: Installation) -> Dataset:
    return build_dataset(house.database, ArtifactStore(house.folder / "artifacts"), house.governance, "operator")


def rows(house: Installation) -> list[tuple[str, str]]:
    folder = house.folder / "artifacts" / build(house).digest
    return [(row.question, row.answer) for row in read_snapshot(folder).rows]


def everything(database: Database) -> str:
    """Return all that the database holds, as text."""
    with database.read() as session:
        return json.dumps(
            [list(map(str, row)) for table in metadata.sorted_tables for row in session.execute(select(table))]
        )


def stored(house: Installation, feedback: Feedback) -> Feedback:
    with house.database.read() as session:
        return get_feedback(session, feedback.id)


def test_what_is_masked_is_kept_nowhere_and_never_trained_on(house: Installation) -> None:
    said = say(house, f"Charge {CARD}.", question=f"Is {CARD} ours?", answer="Ask ana.k@mail.example.")

    assert (said.state, said.masked) == ("accepted", ["card", "email"])
    assert (said.question, said.answer, said.text) == ("Is [card] ours?", "Ask [email].", "Charge [card].")
    assert rows(house) == [("Is [card] ours?", "Charge [card].")]
    assert "1111 1111" not in everything(house.database)


def test_what_is_set_aside_is_trained_on_once_a_reviewer_accepted_it(house: Installation) -> None:
    house.use_policy(privacy={"kinds": {"phone": "quarantine"}})
    said = say(house, f"Ring {PHONE}.")

    assert (said.state, said.review_reason, said.set_aside) == ("quarantined", "personal_data", ["phone"])
    assert build(house).rows == 0
    house.governance.review_feedback(said.id, APPROVER, accept=True)
    assert rows(house) == [("Where is the kiln?", f"Ring {PHONE}.")]
    assert stored(house, said).state == "accepted"


def test_in_a_vote_nobody_can_judge_it_so_it_is_masked(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(privacy={"kinds": {"phone": "quarantine"}})

    said = say(sqlite_house, "", kind="up", answer=f"Ring {PHONE}.")

    assert (said.state, said.answer) == ("accepted", "Ring [phone].")


def test_what_was_kept_before_is_looked_at_when_a_snapshot_is_built(house: Installation) -> None:
    old, doubtful = say(house, "Nothing."), say(house, "Nothing.", OTHER, question="Who answers at night?")
    with house.database.transaction() as session:
        session.execute(update(Feedback).values(checked_by=None))
        session.execute(update(Feedback).where(Feedback.id == old.id).values(text=f"Charge {CARD}."))
        session.execute(update(Feedback).where(Feedback.id == doubtful.id).values(text=f"Ring {PHONE}."))
    house.use_policy(privacy={"kinds": {"phone": "quarantine"}})

    assert rows(house) == [("Where is the kiln?", "Charge [card].")]

    assert stored(house, doubtful).state == "quarantined"
    assert "1111 1111" not in everything(house.database)
    actions = [json.loads(body)["action"] for body in house.log()]
    assert actions.count("feedback.masked") == actions.count("feedback.quarantined") == 1
    assert house.audit.verify(house.database).verified
    assert house.governance.screen_stored() == 0


@pytest.mark.parametrize(
    ("privacy", "text", "kept"),
    [
        ({}, "Patient James Hollis, MRN 00482913.", "Patient James Hollis, MRN 00482913."),
        ({"sector": "healthcare"}, "Patient James Hollis, MRN 00482913.", "Patient [name], MRN [record number]."),
        ({"sector": "finance"}, "Account number 31926819.", "Account number [account]."),
        ({"kinds": {"card": "keep"}}, f"Charge {CARD}.", f"Charge {CARD}."),
        ({"own_domains": ["Mail.example"]}, "Ask ana.k@mail.example.", "Ask ana.k@mail.example."),
    ],
)
def test_the_policy_says_what_becomes_of_each_kind(
    sqlite_house: Installation, privacy: dict[str, object], text: str, kept: str
) -> None:
    sqlite_house.use_policy(privacy=privacy)

    assert say(sqlite_house, text).text == kept


def test_what_was_said_in_private_teaches_only_as_the_policy_says(house: Installation) -> None:
    said = say(house, "In hall Ash.", private=True)
    vote = say(house, "", OTHER, kind="up", answer="On Fridays.", question="When is it fired?", private=True)

    built = build(house)
    assert built.rows == 0
    left = read_snapshot(house.folder / "artifacts" / built.digest).left_out
    assert {(item.feedback_id, item.rule) for item in left} == {(said.id, "private"), (vote.id, "private")}

    house.use_policy(privacy={"private_teaches": "reviewed"}, feedback={"private_need_review": True})
    assert build(house).rows == 0
    other = say(house, "In hall Oak.", OTHER, question="Where is the wheel?", private=True)
    house.governance.review_feedback(other.id, APPROVER, accept=True)
    assert rows(house) == [("Where is the wheel?", "In hall Oak.")]

    house.use_policy(privacy={"private_teaches": "always"})
    assert build(house).rows == 2
