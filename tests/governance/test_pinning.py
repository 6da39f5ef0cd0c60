"""Who may be pinned to which adapter, by whom and for how long, and what ends a pin."""

import json

import pytest

from governance.errors import NotEntitledError, PinLengthError, ReasonRequiredError
from governance.pinning import BASE, MOST_DAYS, Subject
from storage.channels import ChannelSettings, set_channel
from storage.errors import IllegalStateError, NotFoundError
from storage.pins import Pin, list_pins, pin_for
from tests.governance.installation import APPROVER, BAD, EXPERT, OTHER, Installation

OLD, NEW = "a" * 64, "b" * 64
KIM = "operator:kim"
CHANNEL = "T1/CDESK"
PERSON, DESK = Subject("person", OTHER), Subject("channel", CHANNEL)


def pin(house: Installation, subject: Subject = PERSON, adapter: str | None = OLD, actor: str = KIM) -> Pin:
    return house.governance.pin(subject, adapter or BASE, actor=actor, reason="to compare", days=7)


def pinned(house: Installation) -> dict[str, str | None]:
    with house.database.read() as session:
        return {each.subject: each.adapter_digest for each in list_pins(session, house.clock())}


def what_answers(house: Installation, person: str, channel: str) -> str | None:
    with house.database.read() as session:
        found = pin_for(session, person, channel, house.clock())
        return found.adapter_digest if found else "what serves"


def actions(house: Installation) -> list[tuple[str, str, str]]:
    records = [json.loads(body) for body in house.log()]
    return [(each["action"], each["object"], each["actor"]) for each in records if each["action"].startswith("pin.")]


def test_a_pin_holds_until_its_end_and_the_log_says_who_set_it_to_what(house: Installation) -> None:
    house.live(OLD)
    pin(house, adapter=OLD[:8])
    house.clock.advance(days=6.9)
    assert pinned(house) == {OTHER: OLD}

    house.clock.advance(days=0.2)
    assert pinned(house) == {}
    assert what_answers(house, OTHER, CHANNEL) == "what serves"
    (record,) = [body for body in house.log() if '"action":"pin.set"' in body]
    assert f'"adapter":"{OLD}"' in record
    assert actions(house) == [("pin.set", OTHER, KIM)]


def test_a_persons_own_pin_goes_before_that_of_the_channel(house: Installation) -> None:
    house.live(OLD)
    pin(house, DESK, OLD)
    pin(house, PERSON, None)

    assert what_answers(house, OTHER, CHANNEL) is None
    assert what_answers(house, EXPERT, CHANNEL) == OLD
    assert what_answers(house, EXPERT, "T1/CELSEWHERE") == "what serves"


def test_pinned_again_the_last_one_holds(house: Installation) -> None:
    house.live(OLD)
    pin(house)
    pin(house, adapter=None)
    assert pinned(house) == {OTHER: None}


@pytest.mark.parametrize("kind", ["person", "channel"])
def test_what_a_gate_or_an_approver_turned_down_answers_nobody(house: Installation, kind: str) -> None:
    subject = PERSON if kind == "person" else DESK
    house.evaluated("c" * 64, BAD)
    proposal = house.proposed(NEW)
    house.governance.decide(proposal.id, APPROVER, "reject", "it rambles")
    house.live(OLD)
    house.governance.rollback(KIM, "wrong limits")

    for digest, state in (("c" * 64, "rejected"), (NEW, "rejected"), (OLD, "rolled_back")):
        with pytest.raises(IllegalStateError, match=f"is {state}; a {kind} is pinned to"):
            pin(house, subject, digest)
    assert pinned(house) == {}


def test_what_waits_for_approval_answers_people_who_try_it_and_no_channel(house: Installation) -> None:
    house.proposed(NEW)
    pin(house, PERSON, NEW)
    with pytest.raises(IllegalStateError, match="is proposed; a channel is pinned to"):
        pin(house, DESK, NEW)
    assert pinned(house) == {OTHER: NEW}


def test_one_that_another_replaced_may_answer_on_for_whoever_is_pinned_to_it(house: Installation) -> None:
    house.live(OLD)
    pin(house, DESK, OLD)
    house.live(NEW)
    assert house.adapter(OLD).state == "retired"
    assert pinned(house) == {CHANNEL: OLD}
    pin(house, PERSON, OLD)
    assert pinned(house) == {CHANNEL: OLD, OTHER: OLD}


def test_a_rollback_ends_all_pins_to_the_adapter_that_it_takes_out_and_no_other_one(house: Installation) -> None:
    house.live(OLD)
    house.live(NEW)
    pin(house, PERSON, NEW)
    pin(house, DESK, NEW)
    pin(house, Subject("person", EXPERT), OLD)

    house.governance.rollback(KIM, "wrong limits")

    assert pinned(house) == {EXPERT: OLD}
    assert {each for each in actions(house) if each[0] == "pin.lifted"} == {
        ("pin.lifted", OTHER, KIM),
        ("pin.lifted", CHANNEL, KIM),
    }


def test_a_rejection_an_expiry_and_a_newer_canary_end_them_and_an_approval_does_not(house: Installation) -> None:
    rejected, expired, approved = (house.proposed(letter * 64) for letter in "cde")
    for letter, person in zip("cde", (OTHER, EXPERT, APPROVER), strict=True):
        pin(house, Subject("person", person), letter * 64)

    house.governance.decide(rejected.id, APPROVER, "reject", "no")
    house.governance.decide(approved.id, APPROVER, "approve")
    house.clock.advance(days=6.9)
    with house.database.transaction() as session:
        session.add(expired)
        expired.expires_at = house.clock()
    house.governance.expire_proposals()

    assert pinned(house) == {APPROVER: "e" * 64}

    house.use_policy(rollout={"canary_share": 0.2})
    house.live(OLD)
    pin(house, PERSON, OLD)
    house.live(NEW)
    assert house.adapter(OLD).state == "rolled_back"
    assert OTHER not in pinned(house)


def test_people_pin_themselves_if_the_policy_names_them_and_nobody_else(house: Installation) -> None:
    house.live(OLD)
    house.use_policy(approval={"approvers": [APPROVER, EXPERT]}, rollout={"pins_by": [OTHER]})

    pin(house, PERSON, OLD, actor=OTHER)
    with pytest.raises(NotEntitledError, match="does not let you choose which adapter"):
        pin(house, Subject("person", APPROVER), OLD, actor=APPROVER)
    with pytest.raises(NotEntitledError, match="you can pin yourself only"):
        pin(house, Subject("person", EXPERT), OLD, actor=OTHER)
    with pytest.raises(NotEntitledError, match="you can pin yourself only"):
        pin(house, DESK, OLD, actor=OTHER)
    assert pinned(house) == {OTHER: OLD}


def test_without_names_those_who_approve_may_and_everybody_means_the_members(house: Installation) -> None:
    house.live(OLD)
    house.meet("T1/U_GUEST", "guest")
    pin(house, Subject("person", EXPERT), OLD, actor=EXPERT)
    with pytest.raises(NotEntitledError, match="guests cannot do this"):
        pin(house, Subject("person", "T1/U_GUEST"), OLD, actor="T1/U_GUEST")

    house.use_policy(approval={"approvers": [APPROVER]})
    with pytest.raises(NotEntitledError, match="does not let you"):
        pin(house, Subject("person", EXPERT), OLD, actor=EXPERT)


def test_whoever_is_pinned_may_end_it_and_so_may_an_operator_and_nobody_else(house: Installation) -> None:
    house.live(OLD)
    pin(house)
    with pytest.raises(NotEntitledError, match="your own pin only"):
        house.governance.unpin(OTHER, EXPERT)
    house.governance.unpin(OTHER, OTHER)
    pin(house, DESK)
    house.governance.unpin(CHANNEL, KIM)

    assert pinned(house) == {}
    assert [each[0] for each in actions(house)] == ["pin.set", "pin.lifted"] * 2
    with pytest.raises(NotFoundError, match=f"{OTHER} is not pinned"):
        house.governance.unpin(OTHER, OTHER)


@pytest.mark.parametrize("days", [0, -1, MOST_DAYS + 0.1, float("nan"), float("inf")])
def test_a_pin_has_an_end_that_is_not_far_away(sqlite_house: Installation, days: float) -> None:
    with pytest.raises(PinLengthError, match=f"at most {MOST_DAYS} days"):
        sqlite_house.governance.pin(PERSON, BASE, actor=KIM, reason="to compare", days=days)


def test_a_pin_needs_a_reason_and_an_adapter_that_is_there(sqlite_house: Installation) -> None:
    with pytest.raises(ReasonRequiredError, match="to pin, say why"):
        sqlite_house.governance.pin(PERSON, BASE, actor=KIM, reason=" ", days=1)
    with pytest.raises(NotFoundError, match="there is no adapter"):
        pin(sqlite_house, adapter="f" * 64)


def test_the_adapter_of_a_domain_is_pinned_where_it_was_taught_and_nowhere_else(house: Installation) -> None:
    house.use_policy(domains={"hr": {"rollout": {"pins_by": [EXPERT]}}})
    house.live(OLD)
    house.live(NEW, "hr")
    with house.database.transaction() as session:
        set_channel(session, "T1", "CHR", ChannelSettings(domain="hr"), OTHER, house.clock())

    with pytest.raises(IllegalStateError, match="of the domain hr and answers there only; the channel's domain is def"):
        pin(house, DESK, NEW)
    assert not pin(house, Subject("channel", "T1/CHR"), NEW).holds_in("default")
    assert pin(house, DESK, OLD).holds_in("hr")
    held = pin(house, Subject("person", EXPERT), NEW, actor=EXPERT)
    assert [held.holds_in(domain) for domain in ("hr", "default", "it")] == [True, False, False]
    with pytest.raises(NotEntitledError, match="does not let you choose"):
        pin(house, PERSON, NEW, actor=OTHER)
    with house.database.read() as session:
        found = {domain: pin_for(session, EXPERT, CHANNEL, house.clock(), domain) for domain in ("hr", "default")}
    assert {domain: each and each.adapter_digest for domain, each in found.items()} == {"hr": NEW, "default": OLD}
