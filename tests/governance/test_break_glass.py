"""In an emergency one person takes an adapter live without its quorum, and others confirm it or it goes again."""

import pytest

from governance.errors import AlreadyDecidedError, NotEntitledError, ProposalClosedError, ReasonRequiredError
from governance.policy import Policy, load_policy
from governance.policy_words import explain_policy
from storage.adapters import canary_adapter
from storage.break_glass import BreakGlass, get_break_glass
from storage.errors import IllegalStateError
from storage.proposals import Proposal
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation

OLD, NEW, NEWER = "a" * 64, "b" * 64, "c" * 64
WHY = "The refund limit that it answers is wrong."
GLASS: dict[str, object] = {"who": ["U_STARTER"], "tell": ["U_STARTER", "U_OTHER"]}
APPROVAL: dict[str, object] = {"approvers": ["U_APPROVER", "U_EXPERT", "U_STARTER"], "quorum": 2}


@pytest.fixture
def house(house: Installation) -> Installation:
    """The old adapter answers; the starter may break the glass, and two approvers would be needed."""
    house.live(OLD)
    house.use_policy(break_glass=GLASS, approval=APPROVAL)
    return house


def proposed(house: Installation, digest: str = NEW) -> Proposal:
    return house.proposed(digest, shares={OTHER: 1.0})


def broken(house: Installation, digest: str = NEW) -> BreakGlass:
    return house.governance.break_glass(proposed(house, digest).id, STARTER, WHY)[0]


def kept(house: Installation, glass: BreakGlass) -> BreakGlass:
    with house.database.read() as session:
        return get_break_glass(session, glass.id)


def test_it_goes_live_at_once_and_the_log_says_so_for_good(house: Installation) -> None:
    proposal = proposed(house)
    glass, message = house.governance.break_glass(proposal.id, STARTER, f" {WHY} ")

    assert (message, house.serving(), house.proposal(proposal.id).state) == (
        "The adapter goes live now.", NEW, "approved",
    )  # fmt: skip
    assert (glass.state, glass.reason, glass.told, glass.seen_at) == ("open", WHY, OTHER, None)
    assert (glass.adapter_digest, glass.dataset_digest, glass.report_digest, glass.policy_digest) == (
        NEW, f"snapshot-of-{NEW}", f"report-of-{NEW}", house.policy.digest,
    )  # fmt: skip
    assert round((glass.confirm_by - glass.created_at).total_seconds()) == 24 * 3600
    (record,) = [body for body in house.log() if '"action":"break_glass.used"' in body]
    assert f'"actor":"{STARTER}"' in record
    assert NEW in record


@pytest.mark.parametrize(
    ("person", "reason", "error", "says"),
    [
        (STARTER, "", ReasonRequiredError, "say why"),
        (STARTER, "Because I said.", ReasonRequiredError, "at least 20 characters"),
        (APPROVER, WHY, NotEntitledError, "does not let you break the glass"),
    ],
)
def test_nobody_else_does_it_and_nobody_without_a_reason(
    house: Installation, person: str, reason: str, error: type[Exception], says: str
) -> None:
    proposal = proposed(house)
    with pytest.raises(error, match=says):
        house.governance.break_glass(proposal.id, person, reason)
    assert (house.serving(), house.proposal(proposal.id).state) == (OLD, "open")


def test_by_default_nobody_may(house: Installation) -> None:
    house.use_policy(break_glass={"who": [], "tell": []})
    with pytest.raises(NotEntitledError):
        house.governance.break_glass(proposed(house).id, STARTER, WHY)


def test_somebody_else_who_is_known_has_to_be_told(house: Installation) -> None:
    house.use_policy(break_glass={"tell": ["U_STARTER", "U_NOBODY_KNOWS"]})
    with pytest.raises(NotEntitledError, match=r"nobody else of break_glass\.tell"):
        house.governance.break_glass(proposed(house).id, STARTER, WHY)


def test_a_proposal_that_was_rejected_stays_so(house: Installation) -> None:
    proposal = proposed(house)
    house.governance.decide(proposal.id, APPROVER, "reject", "No.")
    with pytest.raises(ProposalClosedError):
        house.governance.break_glass(proposal.id, STARTER, WHY)
    assert house.serving() == OLD


def test_the_approvers_confirm_it_with_as_many_votes_as_it_needed(house: Installation) -> None:
    glass = broken(house)
    first = house.governance.confirm_break_glass(glass.id, APPROVER)
    assert (first.missing, first.message) == (1, "Your approval is recorded; one more approval is needed.")
    with pytest.raises(AlreadyDecidedError):
        house.governance.confirm_break_glass(glass.id, APPROVER)

    done = house.governance.confirm_break_glass(glass.id, EXPERT)
    assert (done.missing, done.message, kept(house, glass).state) == (0, "Confirmed: the adapter stays.", "confirmed")
    with pytest.raises(IllegalStateError, match="confirmed already"):
        house.governance.confirm_break_glass(glass.id, EXPERT)
    house.clock.advance(days=9)
    assert house.governance.take_out_unconfirmed() == []
    assert house.serving() == NEW


def test_an_approval_from_before_counts_too(house: Installation) -> None:
    proposal = proposed(house)
    house.governance.decide(proposal.id, APPROVER, "approve")
    glass, _ = house.governance.break_glass(proposal.id, STARTER, WHY)
    assert house.governance.confirm_break_glass(glass.id, EXPERT).missing == 0


def test_whoever_broke_the_glass_neither_confirms_it_nor_counts_with_what_they_approved_before(
    house: Installation,
) -> None:
    house.use_policy(break_glass={"who": ["U_EXPERT"]})
    proposal = proposed(house)
    house.governance.decide(proposal.id, EXPERT, "approve")
    glass, _ = house.governance.break_glass(proposal.id, EXPERT, WHY)
    with pytest.raises(NotEntitledError, match="somebody else has to"):
        house.governance.confirm_break_glass(glass.id, EXPERT)
    assert house.governance.confirm_break_glass(glass.id, APPROVER).missing == 1


@pytest.mark.parametrize(("person", "says"), [(OTHER, "wrote 100%"), (STARTER, "somebody else has to")])
def test_who_could_not_have_approved_it_does_not_confirm_it(house: Installation, person: str, says: str) -> None:
    glass = broken(house)
    with pytest.raises(NotEntitledError, match=says):
        house.governance.confirm_break_glass(glass.id, person)


def test_unconfirmed_it_is_taken_out_when_its_time_is_over_and_not_before(house: Installation) -> None:
    glass = broken(house)
    house.clock.advance(hours=23)
    assert house.governance.take_out_unconfirmed() == []
    house.clock.advance(hours=1)
    assert house.governance.take_out_unconfirmed() == [NEW]
    assert house.governance.take_out_unconfirmed() == []

    assert (house.serving(), house.adapter(NEW).state, kept(house, glass).state) == (OLD, "rolled_back", "rolled_back")
    (record,) = [body for body in house.log() if '"action":"adapter.rolled_back"' in body]
    assert '"actor":"system"' in record
    with pytest.raises(IllegalStateError, match="rolled back already"):
        house.governance.confirm_break_glass(glass.id, APPROVER)


def test_only_that_very_adapter_is_taken_out(house: Installation) -> None:
    broken(house)
    house.use_policy(rollout={"canary_share": 0.5})
    newer = proposed(house, NEWER)
    house.governance.decide(newer.id, APPROVER, "approve")
    house.governance.decide(newer.id, EXPERT, "approve")
    house.clock.advance(hours=25)
    assert house.governance.take_out_unconfirmed() == [NEW]
    assert (house.serving(), house.adapter(NEWER).state) == (OLD, "canary")


def test_one_that_a_newer_one_replaced_is_let_be_until_it_would_answer_again(house: Installation) -> None:
    broken(house)
    newer = proposed(house, NEWER)
    house.governance.decide(newer.id, APPROVER, "approve")
    house.governance.decide(newer.id, EXPERT, "approve")
    house.clock.advance(hours=25)
    assert house.governance.take_out_unconfirmed() == []

    house.governance.rollback("operator:kim", "it rambles")
    assert house.serving() == NEW
    assert house.governance.take_out_unconfirmed() == [NEW]
    assert house.serving() == OLD


def test_the_stages_of_its_rollout_stay(house: Installation) -> None:
    house.use_policy(rollout={"canary_share": 0.2, "canary_hours": 48.0})
    _, message = house.governance.break_glass(proposed(house).id, STARTER, WHY)
    assert message == "The adapter begins with the first stage of its rollout now."
    with house.database.read() as session:
        canary = canary_adapter(session)
    assert (canary.digest if canary else None, house.serving()) == (NEW, OLD)
    house.clock.advance(hours=24)
    assert house.governance.take_out_unconfirmed() == [NEW]
    house.clock.advance(hours=48)
    house.governance.advance_rollout()
    assert house.serving() == OLD


def test_a_freeze_holds_it_too(house: Installation) -> None:
    house.use_policy(rollout={"freeze": ("2026-01-01..2026-01-01",)})
    _, message = house.governance.break_glass(proposed(house).id, STARTER, WHY)
    assert message == "The adapter goes live when the freeze is over, at 2026-01-02 00:00 UTC."
    house.governance.advance_rollout()
    assert house.serving() == OLD


def test_where_the_policy_wants_it_goes_through_freezes_with_all_its_stages(house: Installation) -> None:
    house.use_policy(
        rollout={"freeze": ("2026-01-01..2026-01-09",), "canary_share": 0.2, "canary_hours": 2.0},
        break_glass={"through_freezes": True},
    )
    broken(house)
    assert house.adapter(NEW).state == "canary"
    house.clock.advance(hours=2)
    house.governance.advance_rollout()
    assert house.serving() == NEW


@pytest.mark.parametrize("person", [OTHER, APPROVER])
def test_who_is_told_and_the_approvers_note_that_they_saw_it_which_confirms_nothing(
    house: Installation, person: str
) -> None:
    glass = broken(house)
    seen = house.governance.note_break_glass_seen(glass.id, person).seen_at
    house.clock.advance(hours=1)
    assert house.governance.note_break_glass_seen(glass.id, OTHER).seen_at == seen
    assert kept(house, glass).state == "open"


@pytest.mark.parametrize("person", [OTHER, APPROVER])
def test_they_roll_it_back(house: Installation, person: str) -> None:
    glass = broken(house)
    house.governance.undo_break_glass(glass.id, person)
    assert (house.serving(), kept(house, glass).state) == (OLD, "rolled_back")
    with pytest.raises(IllegalStateError, match="rolled back already"):
        house.governance.undo_break_glass(glass.id, person)


def test_nobody_else_does_and_nobody_judges_their_own(house: Installation) -> None:
    house.use_policy(approval={"approvers": ["U_APPROVER", "U_STARTER"]})
    glass = broken(house)
    for person, says in ((EXPERT, "does not let you answer an emergency"), (STARTER, "you broke the glass yourself")):
        for press in (house.governance.note_break_glass_seen, house.governance.undo_break_glass):
            with pytest.raises(NotEntitledError, match=says):
                press(glass.id, person)
    assert house.serving() == NEW


def test_an_ordinary_rollback_ends_it_too(house: Installation) -> None:
    glass = broken(house)
    house.governance.rollback("operator:kim", "it rambles")
    assert (house.serving(), kept(house, glass).state) == (OLD, "rolled_back")


@pytest.mark.parametrize(
    ("glass", "says"),
    [
        ({"who": ["U1"]}, "somebody else has to be told"),
        ({"who": ["U1"], "tell": ["U1"]}, "somebody else has to be told"),
        ({"who": ["U1"], "tell": ["*"]}, "nobody in particular"),
    ],
)
def test_a_policy_that_lets_nobody_else_know_is_refused(glass: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Policy.model_validate(load_policy().model_dump() | {"break_glass": glass})


def test_the_policy_in_words_says_who_may(house: Installation) -> None:
    (said,) = [each for each in explain_policy(house.policy) if each.startswith("In an emergency")]
    assert "by: U_STARTER" in said
    assert "within 24 hours" in said
