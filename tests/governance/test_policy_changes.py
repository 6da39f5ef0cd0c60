"""A change of policy needs the approval that the policy in force asks for."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from governance.errors import AlreadyDecidedError, NotEntitledError, ProposalClosedError, ReasonRequiredError
from governance.flows import Governance
from governance.ledger import SYSTEM, Ledger
from governance.policy import Policy, load_policy
from governance.policy_versions import policy_in_force, policy_of
from governance.reminders import Reminder
from storage.errors import ApprenticeError, ConfigurationError, IllegalStateError
from storage.people import ensure_person
from storage.policies import PolicyVersion, digest_in_force, get_version, list_versions, note_version_reminded
from storage.proposals import Verdict
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation

OPERATOR = "operator:root"


def changed(policy: Policy, **sections: Mapping[str, Any]) -> Policy:
    """Return a policy in which these values are different."""
    content = policy.model_dump()
    for name, values in sections.items():
        content[name] = {**content[name], **values}
    return Policy.model_validate(content)


def begin(house: Installation, **sections: Mapping[str, Any]) -> Policy:
    """Put a policy in force: the packaged one, with these values."""
    house.use_policy(**{name: dict(values) for name, values in sections.items()})
    assert house.governance.policies.put_first_in_force(OPERATOR)
    return house.policy


def another_process(house: Installation, policy: Policy | None = None) -> Governance:
    """Return the rules as a process sees them that was started with a policy file."""
    return Governance(house.database, policy or house.policy, house.audit, house.clock)


def state(house: Installation, version: PolicyVersion) -> str:
    with house.database.read() as session:
        return get_version(session, version.id).state


def rewrite(house: Installation, content: str, digest: str) -> None:
    """Put something else into the row of the policy in force."""
    with house.database.transaction() as session:
        (version,) = list_versions(session, "in_force")
        version.content, version.digest = content, digest
        session.add(version)


def actions(house: Installation, *names: str) -> list[str]:
    return [name for body in house.log() for name in names if f'"action":"{name}"' in body]


LOOSE: dict[str, Any] = {"people": {"guests": "answer"}}


def test_the_first_policy_is_put_in_force_once_and_recorded(house: Installation) -> None:
    begin(house)
    other = another_process(house, changed(house.policy, **LOOSE))
    assert not other.policies.put_first_in_force(OPERATOR)
    other.policies.follow()
    assert other.policy == house.policy
    (record,) = [body for body in map(json.loads, house.log()) if body["action"] == "policy.in_force"]
    with house.database.read() as session:
        (version,) = list_versions(session)
    assert (record["actor"], version.proposed_by, version.is_first) == (OPERATOR, OPERATOR, True)
    assert record["reason_sha256"] == hashlib.sha256(b"adopted at the first start").hexdigest()
    assert version.decided_at is not None
    assert version.decided_at.replace(microsecond=0) == version.created_at.replace(microsecond=0)


def test_another_file_changes_nothing_until_it_is_approved(house: Installation) -> None:
    begin(house)
    wanted = changed(house.policy, **LOOSE)
    started_with_it = another_process(house, wanted)
    started_with_it.policies.follow()
    assert started_with_it.policy.people.guests == "answer_no_feedback"

    version = house.governance.policies.propose(wanted, OPERATOR, "guests know things too")
    assert house.governance.policy.people.guests == "answer_no_feedback"
    outcome = house.governance.policies.decide(version.id, APPROVER, "approve")

    assert outcome.message == "Approved: the policy is in force now."
    assert house.governance.policy.people.guests == "answer"
    with house.database.read() as session:
        assert [each.state for each in list_versions(session)] == ["in_force", "superseded"]
    assert actions(house, "policy.proposed", "policy_decision.approve", "policy.superseded", "policy.in_force") == [
        "policy.in_force", "policy.proposed", "policy_decision.approve", "policy.superseded", "policy.in_force",
    ]  # fmt: skip
    assert house.audit.verify(house.database) is not None


def test_the_old_policy_says_how_many_approve_and_who(house: Installation) -> None:
    begin(house, approval={"approvers": [APPROVER, EXPERT, OTHER], "quorum": 2})
    lax = changed(house.policy, approval={"approvers": ["*"], "quorum": 1})
    policies = house.governance.policies
    version = policies.propose(lax, OPERATOR)

    with pytest.raises(NotEntitledError, match="does not name you"):
        policies.decide(version.id, STARTER, "approve")
    first = policies.decide(version.id, APPROVER, "approve")
    assert (state(house, version), first.message) == ("proposed", "Your approval is recorded. Approvals missing: 1.")
    with pytest.raises(AlreadyDecidedError):
        policies.decide(version.id, APPROVER, "approve")
    policies.decide(version.id, EXPERT, "approve")
    assert state(house, version) == "in_force"


def test_whoever_proposes_does_not_decide(house: Installation) -> None:
    begin(house)
    version = house.governance.policies.propose(changed(house.policy, **LOOSE), APPROVER)
    assert "you proposed this policy" in house.governance.policies.may_decide(version.id, APPROVER)
    with pytest.raises(NotEntitledError, match="you proposed this policy"):
        house.governance.policies.decide(version.id, APPROVER, "approve")
    assert house.governance.policies.may_decide(version.id, OTHER) == ""


def test_who_is_needed_to_decide_cannot_propose(house: Installation) -> None:
    begin(house, approval={"approvers": [APPROVER, OTHER], "quorum": 2})
    wanted = changed(house.policy, **LOOSE)
    with pytest.raises(NotEntitledError, match="only 1 would be left"):
        house.governance.policies.propose(wanted, APPROVER)
    assert house.governance.policies.propose(wanted, OPERATOR).state == "proposed"


def test_one_rejection_with_a_reason_ends_it(house: Installation) -> None:
    begin(house, approval={"quorum": 2})
    policies = house.governance.policies
    version = policies.propose(changed(house.policy, **LOOSE), OPERATOR)
    policies.decide(version.id, APPROVER, "approve")
    with pytest.raises(ReasonRequiredError):
        policies.decide(version.id, OTHER, "reject")
    policies.decide(version.id, OTHER, "reject", "guests talk")
    assert state(house, version) == "rejected"
    with pytest.raises(ProposalClosedError, match="rejected"):
        policies.decide(version.id, EXPERT, "approve")
    assert "guests talk" not in "".join(house.log())
    assert house.governance.policy == house.policy


def test_a_proposed_policy_expires_when_the_old_one_says(house: Installation) -> None:
    begin(house, approval={"expiry_days": 3})
    policies = house.governance.policies
    version = policies.propose(changed(house.policy, **LOOSE), OPERATOR)
    house.clock.advance(days=2)
    assert policies.close_stale() == []
    house.clock.advance(days=1.1)
    with pytest.raises(ProposalClosedError, match="expired"):
        policies.decide(version.id, APPROVER, "approve")
    assert state(house, version) == "expired"
    assert actions(house, "policy.expired") == ["policy.expired"]


def test_whoever_proposed_it_withdraws_it_with_a_reason_and_nobody_else_does(house: Installation) -> None:
    begin(house, approval={"quorum": 2})
    policies = house.governance.policies
    version = policies.propose(changed(house.policy, **LOOSE), STARTER)
    policies.decide(version.id, APPROVER, "approve")
    for person in (APPROVER, OPERATOR):
        assert "only whoever proposed this policy" in policies.may_withdraw(version.id, person)
        with pytest.raises(NotEntitledError, match="only whoever proposed this policy"):
            policies.withdraw(version.id, person, "I would rather not")
    with pytest.raises(ReasonRequiredError, match="to withdraw a policy, say why"):
        policies.withdraw(version.id, STARTER, " ")
    assert policies.may_withdraw(version.id, STARTER) == ""

    for reason in ("guests talk", "again"):  # done before, nothing changes
        policies.withdraw(version.id, STARTER, reason)

    with house.database.read() as session:
        found = get_version(session, version.id)
    assert (found.state, found.withdrawn_reason, found.decided_at is None) == ("withdrawn", "guests talk", False)
    (record,) = [body for body in map(json.loads, house.log()) if body["action"] == "policy.withdrawn"]
    assert (record["actor"], record["object"], record["reason_sha256"]) == (
        STARTER, version.id, hashlib.sha256(b"guests talk").hexdigest(),
    )  # fmt: skip
    assert "guests talk" not in "".join(house.log())
    with pytest.raises(ProposalClosedError, match="it is withdrawn"):
        policies.decide(version.id, OTHER, "approve")
    assert house.governance.policy == house.policy
    assert policies.propose(changed(house.policy, **LOOSE), STARTER).digest == version.digest


@pytest.mark.parametrize(("end", "says"), [("approve", "it is in force"), ("expire", "has expired")])
def test_what_was_decided_or_expired_is_not_withdrawn(house: Installation, end: str, says: str) -> None:
    begin(house)
    policies = house.governance.policies
    version = policies.propose(changed(house.policy, **LOOSE), OPERATOR)
    if end == "approve":
        policies.decide(version.id, APPROVER, "approve")
    else:
        house.clock.advance(days=8)
    assert says in policies.may_withdraw(version.id, OPERATOR)
    with pytest.raises(ProposalClosedError, match=says):
        policies.withdraw(version.id, OPERATOR, "too late")
    assert state(house, version) == {"approve": "in_force", "expire": "expired"}[end]
    assert actions(house, "policy.withdrawn") == []


@pytest.mark.parametrize("round_", range(4))
@pytest.mark.parametrize(("verdict", "other_end"), [("approve", "in_force"), ("reject", "rejected")])
def test_a_withdrawal_and_a_decision_at_the_same_moment_end_in_one_outcome(
    house: Installation, verdict: Verdict, other_end: str, round_: int
) -> None:
    """Each is in a process of its own, and whoever comes second is told so."""
    begin(house)
    version = house.governance.policies.propose(changed(house.policy, **LOOSE), OPERATOR)
    deciding, withdrawing = another_process(house).policies, another_process(house).policies
    together = Barrier(2)

    def attempt(act: Callable[[], object]) -> bool:
        together.wait()
        try:
            act()
        except ProposalClosedError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        decided = pool.submit(attempt, lambda: deciding.decide(version.id, APPROVER, verdict, "a reason"))
        withdrawn = pool.submit(attempt, lambda: withdrawing.withdraw(version.id, OPERATOR, "not yet"))
    assert decided.result() != withdrawn.result()

    end = other_end if decided.result() else "withdrawn"
    assert state(house, version) == end
    ends = actions(house, "policy.withdrawn", f"policy.{other_end}", f"policy_decision.{verdict}")
    first = ["policy.in_force"] if other_end == "in_force" else []  # the one before
    of_decision = [f"policy_decision.{verdict}", f"policy.{end}"]
    assert ends == first + (["policy.withdrawn"] if withdrawn.result() else of_decision)
    house.governance.policies.follow()
    assert (house.governance.policy.people.guests == "answer") == (end == "in_force")
    assert house.audit.verify(house.database).verified


def remind(house: Installation) -> list[float]:
    """Give what is due, and note that."""
    due = house.governance.policies.due_reminders()
    with house.database.transaction() as session:
        for reminder in due:
            note_version_reminded(session, reminder.proposal_id, reminder.hours)
    return [reminder.hours for reminder in due]


def test_each_reminder_is_due_once_from_its_moment_on(house: Installation) -> None:
    """The proposal is open for the three days of hr; all are reminded when the rules of any of them say so."""
    own = {"approvers": [EXPERT], "expiry_days": 3, "remind_hours_before": [6]}
    house.use_policy(domains={"hr": {"approval": own}})
    begin(house)
    version = house.governance.policies.propose(changed(house.policy, **LOOSE), OPERATOR)
    given = []
    for hours in (0, 47, 48, 49, 66, 69.9, 70, 71.99, 72, 80):
        house.clock.now = version.created_at
        house.clock.advance(hours=hours)
        given.append(remind(house))

    assert given == [[], [], [24.0], [], [6.0], [], [2.0], [], [], []]


@pytest.mark.parametrize("end", ["approve", "withdraw"])
def test_what_is_decided_or_withdrawn_reminds_nobody(sqlite_house: Installation, end: str) -> None:
    begin(sqlite_house)
    policies = sqlite_house.governance.policies
    version = policies.propose(changed(sqlite_house.policy, **LOOSE), OPERATOR)
    sqlite_house.clock.advance(days=6)
    assert policies.due_reminders() == [Reminder("policy", version.id, 24.0)]
    if end == "approve":
        policies.decide(version.id, APPROVER, "approve")
    else:
        policies.withdraw(version.id, OPERATOR, "not yet")
    assert policies.due_reminders() == []


def test_a_second_proposal_is_void_once_the_first_is_in_force(house: Installation) -> None:
    """It was made under a policy that may have asked for less."""
    begin(house)
    policies = house.governance.policies
    second = policies.propose(changed(house.policy, **LOOSE), OPERATOR)
    first = policies.propose(changed(house.policy, approval={"quorum": 2}), OPERATOR)
    policies.decide(first.id, APPROVER, "approve")
    assert "void" in policies.may_decide(second.id, OTHER)
    assert [each.id for each in policies.close_stale()] == [second.id]
    assert state(house, second) == "void"


DOMAINS = {"hr": {"approval": {"approvers": [EXPERT], "quorum": 1}}, "it": {}}


@pytest.mark.parametrize(
    ("change", "asks_hr"),
    [
        ({"domains": {"hr": {"approval": {"approvers": ["*"], "quorum": 1}}, "it": {}}}, True),
        ({"domains": {"it": {}}}, True),
        (LOOSE, True),
        ({"approval": {"expiry_days": 3}}, False),
        ({"domains": {**DOMAINS, "it": {"rollout": {"canary_share": 0.1}}}}, False),
        ({"domains": {**DOMAINS, "law": {}}}, False),
    ],
    ids=[
        "its own approvers",
        "its end",
        "what holds everywhere",
        "the default's approvers",
        "another domain",
        "a new domain",
    ],
)
def test_a_domain_is_asked_about_what_concerns_it(house: Installation, change: dict[str, Any], asks_hr: bool) -> None:  # noqa: FBT001
    house.policy = Policy.model_validate(house.policy.model_dump() | {"domains": DOMAINS})
    begin(house, approval={"approvers": [APPROVER]})
    policies = house.governance.policies
    domains = change.get("domains")
    wanted = (
        changed(house.policy, **change)
        if domains is None
        else Policy.model_validate(house.policy.model_dump() | {"domains": domains})
    )
    version = policies.propose(wanted, OPERATOR)

    said = policies.decide(version.id, APPROVER, "approve").message

    assert (state(house, version) == "proposed", "1 in hr" in said) == (asks_hr, asks_hr)
    if asks_hr:
        policies.decide(version.id, EXPERT, "approve")
    assert state(house, version) == "in_force"


def test_everybody_means_members(house: Installation) -> None:
    begin(house)
    house.meet(OTHER, "guest")
    version = house.governance.policies.propose(changed(house.policy, **LOOSE), OPERATOR)
    with pytest.raises(NotEntitledError, match="guests cannot do this"):
        house.governance.policies.decide(version.id, OTHER, "approve")


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        ({}, IllegalStateError, "in force already"),
        ({"gates": {"as_told": {"at_least": 3.0}}}, ConfigurationError, "contradicts itself"),
    ],
    ids=["the same one", "a contradiction"],
)
def test_what_makes_no_sense_is_not_proposed(
    house: Installation, wanted: dict[str, Any], error: type[ApprenticeError], says: str
) -> None:
    begin(house)
    with pytest.raises(error, match=says):
        house.governance.policies.propose(changed(house.policy, **wanted), OPERATOR)


def test_a_policy_is_proposed_once_at_a_time(sqlite_house: Installation) -> None:
    begin(sqlite_house)
    policies, wanted = sqlite_house.governance.policies, changed(sqlite_house.policy, **LOOSE)
    version = policies.propose(wanted, OPERATOR)
    with pytest.raises(IllegalStateError, match="proposed already"):
        policies.propose(wanted, OPERATOR)
    policies.decide(version.id, APPROVER, "reject", "not now")
    assert policies.propose(wanted, OPERATOR).digest == version.digest


def test_nothing_is_proposed_before_any_policy_is_in_force(sqlite_house: Installation) -> None:
    with pytest.raises(IllegalStateError, match="first start of `apprentice up`"):
        sqlite_house.governance.policies.propose(changed(sqlite_house.policy, **LOOSE), OPERATOR)


def test_a_process_decides_by_the_policy_that_another_one_put_in_force(house: Installation) -> None:
    """It never looked since, and yet decides nothing under the old one: the open proposal of an adapter is void."""
    begin(house)
    running, beside = another_process(house), another_process(house)
    proposal = house.proposed()
    version = beside.policies.propose(changed(house.policy, approval={"quorum": 2}), OPERATOR)
    beside.policies.decide(version.id, APPROVER, "approve")

    with pytest.raises(ProposalClosedError, match="its policy changed since"):
        running.decide(proposal.id, APPROVER, "approve")

    assert running.policy.approval.quorum == 2
    assert house.serving() is None


def test_a_change_goes_by_the_policy_that_another_one_in_the_same_commit_put_in_force(house: Installation) -> None:
    begin(house)
    version = house.governance.policies.propose(changed(house.policy, **LOOSE), OPERATOR)
    ledger = Ledger(house.database, house.policy, house.audit, house.clock)

    def put_in_force() -> None:
        with ledger.changes() as session:
            (current,) = list_versions(session, "in_force")
            ledger.move(session, current, "superseded", actor=SYSTEM)
            ledger.move(session, get_version(session, version.id), "in_force", actor=SYSTEM)

    def known_and_stored() -> tuple[str, str | None]:
        with ledger.changes() as session:
            return ledger.policy.digest, digest_in_force(session)

    with ThreadPoolExecutor(5) as pool:
        with ledger.changes():
            changing = pool.submit(put_in_force)
            looking = [pool.submit(known_and_stored) for _ in range(4)]
            while ledger._commits.waiting < 5:
                time.sleep(0.001)
        changing.result()
        seen = [each.result() for each in looking]

    assert all(known == stored for known, stored in seen)
    assert known_and_stored() == (version.digest, version.digest)


def test_fifty_decisions_at_once_end_in_one_outcome(house: Installation) -> None:
    begin(house, approval={"quorum": 3})
    people = [f"T1/U{number}" for number in range(50)]
    with house.database.transaction() as session:
        for person in people:
            ensure_person(session, "T1", person.partition("/")[2], person, house.clock())
    version = house.governance.policies.propose(changed(house.policy, **LOOSE), OPERATOR)
    processes = [another_process(house) for _ in range(4)]

    def decide(number: int) -> str:
        try:
            return processes[number % 4].policies.decide(version.id, people[number], "approve").version.state
        except ProposalClosedError:
            return "too late"

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(decide, range(50)))

    assert (seen.count("proposed"), seen.count("in_force"), seen.count("too late")) == (2, 1, 47)
    assert actions(house, "policy_decision.approve", "policy.superseded") == [
        *["policy_decision.approve"] * 3,
        "policy.superseded",
    ]
    assert house.audit.verify(house.database) is not None


def test_the_database_has_one_policy_in_force_whatever_is_written(house: Installation) -> None:
    begin(house)
    with pytest.raises(IntegrityError), house.database.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO policy_version (id, digest, name, content, under_digest, state, proposed_by, reason, "
                "created_at, expires_at, channel, message_ts) SELECT 'pol_2', digest, name, content, under_digest, "
                "state, proposed_by, reason, created_at, expires_at, channel, message_ts FROM policy_version"
            )
        )


def test_a_policy_that_was_changed_in_the_database_holds_for_nobody(house: Installation) -> None:
    begin(house, approval={"quorum": 2})
    rewrite(house, house.policy.canonical.replace('"quorum":2', '"quorum":1'), "f" * 64)
    with pytest.raises(ConfigurationError, match="is not what was approved"):
        another_process(house).policies.follow()


def test_a_release_with_new_keys_reads_what_was_approved_and_knows_it_by_its_digest(house: Installation) -> None:
    """A release whose policies had no `channels` yet wrote this one; its file, read today, is no change of it."""
    begin(house)
    content = json.loads(house.policy.canonical)
    del content["channels"]
    content["people"]["guests"] = "answer"
    older = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(older.encode()).hexdigest()
    rewrite(house, older, digest)

    house.governance.policies.follow()

    policy = house.governance.policy
    assert (policy.digest, policy.people.guests, policy.channels.settings_by) == (digest, "answer", ["*"])
    assert house.proposed().policy_digest == digest
    with pytest.raises(IllegalStateError, match="in force already"):
        house.governance.policies.propose(changed(house.policy, **LOOSE), OPERATOR)


@pytest.mark.parametrize("name", ["small-team", "healthcare", "legal", "finance"])
def test_a_stored_policy_is_the_one_that_was_proposed(house: Installation, name: str) -> None:
    house.policy = load_policy(f"builtin:{name}")
    begin(house)
    with house.database.read() as session:
        (version,) = list_versions(session)
        assert policy_of(version) == house.policy
        assert policy_in_force(session, load_policy()).digest == house.policy.digest
