"""What counts as known, and from when: on both databases, as another process would change them."""

from pathlib import Path

import pytest

from learning.accepted import AcceptedCorrections, Changes
from storage.database import Database
from storage.domains import DEFAULT_DOMAIN
from storage.feedback import Feedback
from tests.governance.installation import APPROVER, EXPERT, OTHER, Installation

PORT = "What port does billing use?"


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Installation:
    return Installation(database, tmp_path)


@pytest.fixture
def accepted(house: Installation) -> AcceptedCorrections:
    return AcceptedCorrections(house.database)


def correct(
    house: Installation,
    text: str,
    *,
    question: str = PORT,
    by: str = EXPERT,
    was: str = "no idea",
    private: bool = False,
    domain: str = DEFAULT_DOMAIN,
) -> Feedback:
    return house.governance.record_feedback(
        workspace_id="T1",
        person_id=by,
        kind="correction",
        question=question,
        answer=was,
        text=text,
        source="test",
        private=private,
        domain=domain,
    )


def answers(changes: Changes) -> list[str | None]:
    return sorted((known.answer if known else None for known in changes.values()), key=str)


def test_a_correction_counts_as_soon_as_it_is_accepted_and_is_told_once(
    house: Installation, accepted: AcceptedCorrections
) -> None:
    assert accepted.sync() == {}

    stored = correct(house, "Port 7443.")

    ((place, known),) = accepted.sync().items()
    assert known is not None
    assert (known.question, known.answer, known.feedback_ids, known.person_ids) == (
        PORT, "Port 7443.", (stored.id,), (EXPERT,),
    )  # fmt: skip
    assert (place.scope.workspace_id, place.scope.owner) == ("T1", None)
    assert accepted.sync() == {}


def test_a_correction_that_waits_for_review_counts_from_its_acceptance(
    house: Installation, accepted: AcceptedCorrections
) -> None:
    house.use_policy(feedback={"corrections_need_review": True, "reviewers": ["*"]})
    waiting, refused = correct(house, "Port 7443."), correct(house, "Port 1.", question="What port does search use?")
    assert answers(accepted.sync()) == []

    house.governance.review_feedback(waiting.id, APPROVER, accept=True)
    house.governance.review_feedback(refused.id, APPROVER, accept=False, reason="wrong")

    assert answers(accepted.sync()) == ["Port 7443."]


def test_a_person_who_corrects_again_replaces_what_they_said(
    house: Installation, accepted: AcceptedCorrections
) -> None:
    correct(house, "Port 7443.")
    assert answers(accepted.sync()) == ["Port 7443."]

    correct(house, "Port 7555.", question="what port does billing use")

    assert answers(accepted.sync()) == ["Port 7555."]


def test_nobody_is_believed_while_people_disagree(house: Installation, accepted: AcceptedCorrections) -> None:
    correct(house, "Port 7443.")
    assert answers(accepted.sync()) == ["Port 7443."]

    correct(house, "Port 7555.", by=OTHER)
    assert answers(accepted.sync()) == [None]

    correct(house, "Port 7443.", by=OTHER)
    assert answers(accepted.sync()) == ["Port 7443."]


def test_votes_are_not_corrections(house: Installation, accepted: AcceptedCorrections) -> None:
    house.governance.record_feedback(
        workspace_id="T1", person_id=OTHER, kind="down", question=PORT, answer="no idea", source="test"
    )

    assert accepted.sync() == {}


def test_what_was_said_in_private_has_a_place_of_its_own(house: Installation, accepted: AcceptedCorrections) -> None:
    correct(house, "Port 7443.")
    correct(house, "Port 9, I think.", by=OTHER, private=True)

    known = {place.scope.owner: found.answer for place, found in accepted.sync().items() if found}
    assert known == {None: "Port 7443.", OTHER: "Port 9, I think."}


def test_what_was_erased_counts_no_more_and_another_reader_starts_with_what_is_left(
    house: Installation, accepted: AcceptedCorrections
) -> None:
    stored = correct(house, "Port 7443.")
    correct(house, "Larder.", question="What is the warehouse called?")
    accepted.sync()

    with house.governance._ledger.changes() as session:
        house.governance._ledger.move(session, session.merge(stored), "erased", actor=EXPERT)

    assert answers(accepted.sync()) == [None]
    assert answers(AcceptedCorrections(house.database).sync()) == ["Larder."]


def test_what_was_taken_back_counts_no_more_and_what_it_replaced_counts_again(
    house: Installation, accepted: AcceptedCorrections
) -> None:
    correct(house, "Port 7443.")
    mistaken = correct(house, "Port 7444.")
    assert answers(accepted.sync()) == ["Port 7444."]

    house.governance.withdraw_feedback(mistaken.id, EXPERT)

    assert answers(accepted.sync()) == ["Port 7443."]


def test_what_a_new_policy_makes_a_domain_of_its_own_holds_there_alone_from_then_on(
    house: Installation, accepted: AcceptedCorrections
) -> None:
    correct(house, "Port 7443.", domain="it")
    correct(house, "Port 1.", by=OTHER)
    disputed = accepted.sync()
    assert [(place.scope.domain, known) for place, known in disputed.items()] == [(DEFAULT_DOMAIN, None)]

    divided = accepted.sync(frozenset({"it"}))
    assert {place.scope.domain: known and known.answer for place, known in divided.items()} == {
        "it": "Port 7443.",
        DEFAULT_DOMAIN: "Port 1.",
    }
    assert accepted.sync(frozenset({"it"})) == {}

    again = accepted.sync(frozenset())
    assert {place.scope.domain: known for place, known in again.items()} == {"it": None, DEFAULT_DOMAIN: None}
