"""Which two adapters are compared, what a choice between their answers becomes, and what it is no evidence of."""

import json

import pytest
from sqlmodel import select

from governance.comparing import Rivals, rivals
from governance.errors import NotEntitledError
from learning.dataset import build_dataset
from storage.artifacts import ArtifactStore
from storage.comparisons import BlindComparison, Preferences, Preferred, count_preferences
from storage.domains import DEFAULT_DOMAIN
from storage.errors import NotFoundError
from storage.feedback import Feedback, list_feedback
from storage.interactions import Interaction
from tests.governance.installation import EXPERT, OTHER, STARTER, Installation
from tests.governance.test_watching import WATCH, judged

OLD, NEW = "a" * 64, "b" * 64
ASH, OAK = "In hall Ash.", "In hall Oak."


def shown(
    house: Installation,
    number: int = 1,
    person: str = OTHER,
    old: str | None = OLD,
    new: str = NEW,
    domain: str = DEFAULT_DOMAIN,
    *,
    in_private: bool = False,
) -> str:
    """Show somebody the old adapter's answer as A and the new one's as B; return the comparison."""
    rows = [
        Interaction(
            id=f"qa_{number}{place}", workspace_id="T1", channel="C1", thread_ts="", question_ts="", answer_ts="",
            asker_id=person, question=f"Where is kiln {number}?", answer=answer, adapter_digest=digest,
            base_digest="base", prompt_digest="p", private=True, created_at=house.clock(),
            source={"how": "model", "side": "compared", "domain": domain, "in_private": in_private},
        )
        for place, answer, digest in (("a", ASH, old), ("b", OAK, new))
    ]  # fmt: skip
    with house.database.transaction() as session:
        session.add_all(rows)
        session.flush()
        session.add(
            BlindComparison(
                id=f"cmp_{number}", person_id=person, a_id=rows[0].id, b_id=rows[1].id, a_adapter=old, b_adapter=new,
                created_at=house.clock(),
            )
        )  # fmt: skip
    return f"cmp_{number}"


def choose(house: Installation, preferred: Preferred, number: int = 1, person: str = OTHER) -> list[Feedback]:
    """Let somebody compare and choose; return what they said."""
    house.governance.record_preference(shown(house, number, person), person, preferred)
    return said(house)


def said(house: Installation) -> list[Feedback]:
    with house.database.read() as session:
        return list_feedback(session)


@pytest.fixture
def two(house: Installation) -> Installation:
    """The old adapter serves, and the new one waits for approval."""
    house.live(OLD)
    house.proposed(NEW)
    return house


# Who is compared


def test_what_waits_for_approval_is_compared_first_then_the_canary_then_the_base_model(house: Installation) -> None:
    def rival(serving: str | None) -> Rivals | None:
        with house.database.read() as session:
            return rivals(session, serving)

    assert rival(None) is None
    house.live(OLD)
    assert rival(OLD) == (OLD, None)
    house.use_policy(rollout={"canary_share": 0.2})
    house.live(NEW)
    assert rival(OLD) == (OLD, NEW)
    house.proposed("c" * 64)
    assert rival(OLD) == (OLD, "c" * 64)
    assert rival(None) == (None, "c" * 64)


def test_of_a_domain_what_is_new_there_is_compared_and_a_choice_teaches_it_alone(house: Installation) -> None:
    house.use_policy(domains={"hr": {}})
    house.live(OLD)
    house.proposed(NEW, domain="hr")
    house.proposed("c" * 64)
    with house.database.read() as session:
        assert rivals(session, OLD, "hr") == (OLD, NEW)
        assert rivals(session, OLD) == (OLD, "c" * 64)
    shown(house, domain="hr")
    house.governance.record_preference("cmp_1", OTHER, "a")

    assert [each.domain for each in said(house)] == ["hr"]


# What a choice becomes


@pytest.mark.parametrize(("preferred", "better", "worse"), [("a", ASH, OAK), ("b", OAK, ASH)])
def test_the_better_answer_is_kept_with_the_other_one_and_becomes_a_pair(
    two: Installation, preferred: Preferred, better: str, worse: str
) -> None:
    (kept,) = choose(two, preferred)

    assert (kept.kind, kept.text, kept.answer, kept.state) == ("preference", better, worse, "accepted")
    assert (kept.private, kept.source, kept.interaction_id) == (False, "comparison", f"qa_1{preferred}")
    pairs = pairs_of(two)
    assert [(pair["chosen"], pair["rejected"], pair["feedback_ids"]) for pair in pairs] == [(better, worse, [kept.id])]
    assert any('"action":"feedback.accepted"' in body and kept.id in body for body in two.log())


def test_what_was_compared_in_private_teaches_nothing(two: Installation) -> None:
    shown(two, 2, in_private=True)
    two.governance.record_preference("cmp_2", OTHER, "a")

    assert [each.private for each in said(two)] == [True]
    assert pairs_of(two) == []


def pairs_of(house: Installation) -> list[dict[str, object]]:
    store = ArtifactStore(house.folder / "artifacts")
    built = build_dataset(house.database, store, house.governance, "schedule")
    lines = (store.path(built.digest) / "pairs.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(("preferred", "kind"), [("both", "up"), ("neither", "down")])
def test_both_or_neither_is_a_vote_on_each(two: Installation, preferred: Preferred, kind: str) -> None:
    kept = choose(two, preferred)
    assert sorted((each.kind, each.answer, each.text) for each in kept) == [(kind, ASH, ""), (kind, OAK, "")]


def test_the_first_choice_stands_however_often_somebody_clicks(two: Installation) -> None:
    shown(two)
    first, _ = two.governance.record_preference("cmp_1", OTHER, "a")
    again, counts = two.governance.record_preference("cmp_1", OTHER, "b")

    assert (first.preferred, again.preferred, counts) == ("a", "a", True)
    assert [each.text for each in said(two)] == [ASH]


@pytest.mark.parametrize("preferred", ["a", "both"])
def test_a_choice_is_taken_back_whole_and_is_not_trained_on(two: Installation, preferred: Preferred) -> None:
    kept = choose(two, preferred)
    taken = two.governance.withdraw_feedback(kept[0].id, OTHER)

    assert {each.id for each in taken} == {each.id for each in kept}
    assert {each.state for each in said(two)} == {"withdrawn"}
    assert pairs_of(two) == []
    _, counts = two.governance.record_preference("cmp_1", OTHER, "b")
    assert not counts
    assert len(said(two)) == len(kept)


def test_only_who_was_shown_the_answers_and_whose_feedback_counts_chooses(two: Installation) -> None:
    shown(two)
    with pytest.raises(NotEntitledError, match="given to somebody else"):
        two.governance.record_preference("cmp_1", EXPERT, "a")
    two.meet(OTHER, "guest")
    with pytest.raises(NotEntitledError, match="does not count here"):
        two.governance.record_preference("cmp_1", OTHER, "a")
    with pytest.raises(NotFoundError, match="may have been erased"):
        two.governance.record_preference("cmp_2", OTHER, "a")
    assert said(two) == []


def test_a_comparison_goes_with_its_answers(two: Installation) -> None:
    shown(two)
    with two.database.transaction() as session:
        session.delete(session.get(Interaction, "qa_1a"))
    with two.database.read() as session:
        assert session.get(BlindComparison, "cmp_1") is None


# Figures


def test_it_is_counted_how_often_each_was_preferred_and_what_was_taken_back_is_not(two: Installation) -> None:
    for number, preferred in enumerate(("a", "b", "b", "both"), start=1):
        choose(two, preferred, number)  # type: ignore[arg-type]
    two.governance.record_preference(shown(two, 5, old=None, new=OLD), OTHER, "a")
    taken_back = next(each for each in said(two) if each.interaction_id == "qa_3b")
    two.governance.withdraw_feedback(taken_back.id, OTHER)

    with two.database.read() as session:
        counted = {digest: count_preferences(session, digest) for digest in (OLD, NEW, None)}
    assert counted == {OLD: Preferences(1, 3), NEW: Preferences(1, 2), None: Preferences(1, 1)}


@pytest.mark.parametrize("side", ["pinned", "compared"])
def test_votes_on_answers_that_were_compared_or_given_to_whoever_is_pinned_take_no_adapter_out(
    house: Installation, side: str
) -> None:
    house.use_policy(rollback=WATCH)
    house.live(OLD)
    judged(house, OLD, "u" * 20)
    house.live(NEW)
    judged(house, NEW, "d" * 12)

    put_on_side(house, NEW, side)
    assert house.governance.take_out_if_worse() == ""
    assert house.serving() == NEW

    put_on_side(house, NEW, "serving")
    assert "12 (100%) were voted down" in house.governance.take_out_if_worse()


def put_on_side(house: Installation, digest: str, side: str) -> None:
    """Let all answers of an adapter have been given on this side."""
    with house.database.transaction() as session:
        for row in session.exec(select(Interaction).where(Interaction.adapter_digest == digest)):
            row.source = {**row.source, "side": side}


def test_a_correction_of_the_question_speaks_louder_than_a_choice(two: Installation) -> None:
    (kept,) = choose(two, "a")
    two.governance.record_feedback(
        workspace_id="T1", person_id=STARTER, kind="correction", question="Where is kiln 1?", answer=ASH,
        text="In hall Elm.", source="slack",
    )  # fmt: skip

    assert [(pair["chosen"], pair["rejected"]) for pair in pairs_of(two)] == [("In hall Elm.", ASH)]
    assert all(kept.id not in pair["feedback_ids"] for pair in pairs_of(two))  # type: ignore[operator]
