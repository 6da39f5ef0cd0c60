"""Feedback, runs, adapters and proposals, from their first state to their last."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from governance.audit import LogEntry
from governance.errors import (
    AlreadyDecidedError,
    NotEntitledError,
    ProposalClosedError,
    ReasonRequiredError,
)
from governance.flows import RunEnd
from storage.adapters import Adapter
from storage.database import Database
from storage.errors import ApprenticeError, IllegalStateError, InvalidFeedbackError, NotFoundError
from storage.feedback import Feedback, list_feedback
from storage.people import ensure_person
from storage.proposals import Proposal
from storage.runs import get_run, list_runs
from tests.governance.installation import APPROVER, BAD, EXPERT, GOOD, OTHER, STARTER, Installation


def correct(house: Installation, text: str = "The limit is 450 euros.", person: str = EXPERT) -> Feedback:
    return house.governance.record_feedback(
        workspace_id="T1",
        person_id=person,
        kind="correction",
        question="What is the refund limit?",
        answer="It is 100 dollars.",
        text=text,
        source="modal",
    )


def needing_review(house: Installation, *reviewers: str) -> None:
    house.use_policy(feedback={"corrections_need_review": True, "reviewers": list(reviewers) or ["*"]})


# Feedback


def test_a_correction_is_accepted_at_once_when_the_policy_asks_for_no_review(house: Installation) -> None:
    kept = correct(house, "  The limit is 450 euros. ")
    with house.database.read() as session:
        stored = list_feedback(session, state="accepted")
    assert [(row.id, row.text) for row in stored] == [(kept.id, "The limit is 450 euros.")]


def test_a_correction_waits_for_somebody_else_when_the_policy_asks_for_a_review(sqlite_house: Installation) -> None:
    needing_review(sqlite_house)
    waiting = correct(sqlite_house)
    assert waiting.state == "pending_review"
    with pytest.raises(NotEntitledError, match="yours"):
        sqlite_house.governance.review_feedback(waiting.id, EXPERT, accept=True)
    assert sqlite_house.governance.review_feedback(waiting.id, OTHER, accept=True).state == "accepted"
    with pytest.raises(IllegalStateError):
        sqlite_house.governance.review_feedback(waiting.id, OTHER, accept=False, reason="changed my mind")


def test_a_correction_is_declined_only_with_a_reason_and_only_by_a_reviewer(sqlite_house: Installation) -> None:
    needing_review(sqlite_house, "U_APPROVER")
    waiting = correct(sqlite_house)
    with pytest.raises(ReasonRequiredError):
        sqlite_house.governance.review_feedback(waiting.id, APPROVER, accept=False)
    with pytest.raises(NotEntitledError, match="review"):
        sqlite_house.governance.review_feedback(waiting.id, OTHER, accept=True)
    declined = sqlite_house.governance.review_feedback(waiting.id, APPROVER, accept=False, reason="wrong amount")
    assert declined.state == "declined"


def test_votes_need_no_review(sqlite_house: Installation) -> None:
    needing_review(sqlite_house)
    vote = sqlite_house.governance.record_feedback(
        workspace_id="T1", person_id=OTHER, kind="up", question="q", answer="a", source="button"
    )
    assert vote.state == "accepted"


@pytest.mark.parametrize("text", ["", "   \n", "x" * 50_000])
def test_an_empty_or_huge_correction_is_refused_and_leaves_no_trace(sqlite_house: Installation, text: str) -> None:
    with pytest.raises(InvalidFeedbackError):
        correct(sqlite_house, text)
    with sqlite_house.database.read() as session:
        assert list_feedback(session) == []
    assert sqlite_house.log() == []


def test_the_log_holds_no_word_that_a_person_wrote(house: Installation) -> None:
    correct(house)
    proposal = house.proposed()
    house.governance.decide(proposal.id, APPROVER, "reject", "Dr. Weber would be misquoted")
    log = "\n".join(house.log())
    for word in ("refund", "dollars", "euros", "Weber", "misquoted"):
        assert word not in log
    assert '"reason_sha256":"' in log


# Runs


def test_a_run_goes_from_queued_to_succeeded_with_a_record_of_each_step(house: Installation) -> None:
    run = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    house.governance.start_run(run.id, "snapshot", 3, {"rows": 3})
    house.governance.note_progress(run.id, {"phase": "training", "step": 4})
    house.governance.finish_run(run.id, "succeeded")
    with house.database.read() as session:
        stored = get_run(session, run.id)
    assert (stored.state, stored.snapshot_digest, stored.progress["step"]) == ("succeeded", "snapshot", 4)
    assert stored.finished_at is not None
    assert [json.loads(body)["action"] for body in house.log()] == ["run.queued", "run.running", "run.succeeded"]


def test_an_interrupted_run_resumes_and_a_finished_one_does_not(sqlite_house: Installation) -> None:
    governance = sqlite_house.governance
    run = governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    governance.start_run(run.id, "snapshot", 3, {})
    governance.finish_run(run.id, "interrupted", "killed")
    assert governance.resume_run(run.id).state == "running"
    assert governance.finish_run(run.id, "failed", "out of memory").error == "out of memory"
    with pytest.raises(IllegalStateError):
        governance.resume_run(run.id)
    with pytest.raises(IllegalStateError):
        governance.finish_run(run.id, "succeeded")


def test_two_runs_may_learn_from_the_same_snapshot(sqlite_house: Installation) -> None:
    for _ in range(2):
        run = sqlite_house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
        sqlite_house.governance.start_run(run.id, "snapshot", 3, {})
    with sqlite_house.database.read() as session:
        assert {run.snapshot_digest for run in list_runs(session)} == {"snapshot"}


def begun(house: Installation) -> str:
    run = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    return house.governance.start_run(run.id, "snapshot", 3, {}).id


def last_records(house: Installation, count: int) -> list[tuple[str, str]]:
    return [(record["action"], record["actor"]) for record in map(json.loads, house.log()[-count:])]


def test_a_run_at_work_is_cancelled_when_it_has_stopped_and_the_log_names_who_asked(house: Installation) -> None:
    run = begun(house)
    asked = house.governance.cancel_run(run, APPROVER, "wrong data")
    assert (asked.state, asked.cancelled_by) == ("running", APPROVER)
    again = house.governance.cancel_run(run, OTHER, "me too")
    assert (again.cancelled_by, again.cancel_reason) == (APPROVER, "wrong data")

    ended = house.governance.finish_run(run, "interrupted", "stopped on request")

    assert (ended.state, ended.error) == ("cancelled", "wrong data")
    assert ended.finished_at is not None
    assert last_records(house, 2) == [("run.cancel_requested", APPROVER), ("run.cancelled", APPROVER)]
    assert "wrong data" not in "".join(house.log())
    assert house.governance.finish_run(run, "failed", "noticed late").state == "cancelled"
    with pytest.raises(IllegalStateError, match="only an interrupted run"):
        house.governance.resume_run(run)


def test_an_interrupted_run_is_cancelled_at_once(sqlite_house: Installation) -> None:
    run = begun(sqlite_house)
    sqlite_house.governance.finish_run(run, "interrupted", "killed")
    assert sqlite_house.governance.cancel_run(run, STARTER).state == "cancelled"
    assert last_records(sqlite_house, 1) == [("run.cancelled", STARTER)]


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled"])
def test_a_run_that_has_ended_is_not_cancelled(sqlite_house: Installation, state: RunEnd) -> None:
    run = begun(sqlite_house)
    sqlite_house.governance.finish_run(run, state)
    with pytest.raises(IllegalStateError, match=f"'{state}' already, so it cannot be cancelled"):
        sqlite_house.governance.cancel_run(run, APPROVER)


def test_a_run_that_succeeded_before_it_could_be_stopped_has_succeeded(sqlite_house: Installation) -> None:
    run = begun(sqlite_house)
    sqlite_house.governance.cancel_run(run, APPROVER)
    assert sqlite_house.governance.finish_run(run, "succeeded").state == "succeeded"


def test_who_started_a_run_an_approver_and_the_operator_may_cancel_it_and_nobody_else(
    sqlite_house: Installation,
) -> None:
    sqlite_house.use_policy(approval={"approvers": [APPROVER]})
    run = begun(sqlite_house)
    with pytest.raises(NotEntitledError, match="does not name you"):
        sqlite_house.governance.cancel_run(run, OTHER)
    for entitled in (STARTER, APPROVER, "operator:kim"):
        assert sqlite_house.governance.cancel_run(begun(sqlite_house), entitled).cancelled_by == entitled


def test_nothing_of_a_run_that_is_to_be_cancelled_is_proposed_and_the_next_run_may_make_its_adapter(
    sqlite_house: Installation,
) -> None:
    rules = sqlite_house.governance
    first, digest = begun(sqlite_house), "a" * 64
    rules.register_adapter(first, digest, "base", None, "snapshot")
    rules.record_evaluation(digest, "report", GOOD)
    rules.cancel_run(first, APPROVER)
    with pytest.raises(IllegalStateError, match="is to be cancelled"):
        rules.propose(digest, {})
    rules.finish_run(first, "interrupted")

    second = begun(sqlite_house)
    assert rules.register_adapter(second, digest, "base", None, "snapshot").run_id == second
    assert last_records(sqlite_house, 1)[0][0] == "adapter.adopted"
    assert rules.propose(digest, {}).state == "open"


# Adapters and gates


def test_an_adapter_that_passes_its_gates_waits_to_be_proposed(house: Installation) -> None:
    digest = house.evaluated("a" * 64)
    adapter = house.adapter(digest)
    assert adapter.state == "evaluated"
    assert [gate["verdict"] for gate in adapter.gates] == ["passed"] * len(GOOD)


def test_an_adapter_that_fails_a_gate_is_rejected_and_cannot_be_proposed(house: Installation) -> None:
    digest = house.evaluated("a" * 64, BAD)
    assert house.adapter(digest).state == "rejected"
    with pytest.raises(IllegalStateError):
        house.governance.propose(digest, {})


def test_undecided_gates_follow_the_policy(sqlite_house: Installation) -> None:
    few = {name: replace(metric, n=1) for name, metric in GOOD.items()}
    assert sqlite_house.adapter(sqlite_house.evaluated("a" * 64, few)).state == "evaluated"
    sqlite_house.use_policy(evidence={"undecided": "reject"})
    assert sqlite_house.adapter(sqlite_house.evaluated("b" * 64, few)).state == "rejected"


def test_registering_again_changes_nothing_for_the_same_run_and_is_refused_for_another(
    sqlite_house: Installation,
) -> None:
    governance = sqlite_house.governance
    runs = [governance.queue_run(started_by=STARTER, recipe="default", base_digest="base") for _ in range(2)]
    for run in runs:
        governance.start_run(run.id, "snapshot", 3, {})
    for _ in range(2):
        governance.register_adapter(runs[0].id, "a" * 64, "base", None, "snapshot")
    with pytest.raises(IllegalStateError, match="again"):
        governance.register_adapter(runs[1].id, "a" * 64, "base", None, "snapshot")
    assert sum("adapter.candidate" in body for body in sqlite_house.log()) == 1


# Who may decide


def test_the_starter_and_a_large_contributor_do_not_decide(house: Installation) -> None:
    proposal = house.proposed()
    for person, why in ((STARTER, "started"), (EXPERT, "75%")):
        assert why in house.governance.may_decide(proposal.id, person)
        for verdict in ("approve", "reject"):
            with pytest.raises(NotEntitledError, match=why):
                house.governance.decide(proposal.id, person, verdict, "reason")
    assert house.governance.may_decide(proposal.id, APPROVER) == ""
    assert house.serving() is None


def test_a_share_at_the_limit_may_decide(sqlite_house: Installation) -> None:
    proposal = sqlite_house.proposed(shares={EXPERT: 0.5, OTHER: 0.5})
    assert sqlite_house.governance.decide(proposal.id, EXPERT, "approve").promoted


def test_only_named_approvers_decide_by_slack_or_person_id(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(approval={"approvers": ["U_APPROVER", OTHER], "quorum": 2})
    proposal = sqlite_house.proposed(shares={})
    assert "does not name you" in sqlite_house.governance.may_decide(proposal.id, EXPERT)
    assert not sqlite_house.governance.decide(proposal.id, APPROVER, "approve").promoted
    assert sqlite_house.governance.decide(proposal.id, OTHER, "approve").promoted


def test_somebody_unknown_cannot_decide(sqlite_house: Installation) -> None:
    proposal = sqlite_house.proposed()
    with pytest.raises(NotFoundError):
        sqlite_house.governance.decide(proposal.id, "T1/U_NOBODY", "approve")
    with pytest.raises(NotFoundError):
        sqlite_house.governance.decide("prop_none", APPROVER, "approve")


# Decisions


def test_a_quorum_of_two_needs_two_people(house: Installation) -> None:
    house.use_policy(approval={"quorum": 2})
    proposal = house.proposed()
    first = house.governance.decide(proposal.id, APPROVER, "approve")
    assert (first.promoted, first.missing) == (False, 1)
    assert "one more approval" in first.message
    with pytest.raises(AlreadyDecidedError):
        house.governance.decide(proposal.id, APPROVER, "approve")
    assert "already" in house.governance.may_decide(proposal.id, APPROVER)
    second = house.governance.decide(proposal.id, OTHER, "approve")
    assert (second.promoted, second.missing) == (True, 0)
    assert [decision.person_id for decision in second.decisions] == [APPROVER, OTHER]
    assert house.serving() == proposal.adapter_digest


def test_one_rejection_ends_the_proposal_and_needs_a_reason(house: Installation) -> None:
    house.use_policy(approval={"quorum": 2})
    proposal = house.proposed()
    house.governance.decide(proposal.id, APPROVER, "approve")
    with pytest.raises(ReasonRequiredError, match="why"):
        house.governance.decide(proposal.id, OTHER, "reject", "  ")
    outcome = house.governance.decide(proposal.id, OTHER, "reject", "two answers got worse")
    assert not outcome.promoted
    assert outcome.decisions[-1].reason == "two answers got worse"
    assert (house.proposal(proposal.id).state, house.adapter(proposal.adapter_digest).state) == ("rejected", "rejected")
    with pytest.raises(ProposalClosedError, match="rejected"):
        house.governance.decide(proposal.id, STARTER, "approve")


def test_a_decision_after_the_expiry_closes_the_proposal(house: Installation) -> None:
    proposal = house.proposed()
    house.clock.advance(days=7, seconds=1)
    assert "expired" in house.governance.may_decide(proposal.id, APPROVER)
    with pytest.raises(ProposalClosedError, match="expired"):
        house.governance.decide(proposal.id, APPROVER, "approve")
    assert (house.proposal(proposal.id).state, house.adapter(proposal.adapter_digest).state) == ("expired", "expired")
    assert house.serving() is None


def test_the_expiry_takes_only_the_proposals_that_are_due(house: Installation) -> None:
    old = house.proposed("a" * 64)
    house.clock.advance(days=6)
    new = house.proposed("b" * 64)
    house.clock.advance(days=2)
    assert [proposal.id for proposal in house.governance.expire_proposals()] == [old.id]
    assert house.governance.expire_proposals() == []
    assert house.proposal(new.id).state == "open"


def test_another_policy_makes_an_open_proposal_void(house: Installation) -> None:
    proposal = house.proposed()
    house.use_policy(approval={"expiry_days": 14})
    assert "policy changed" in house.governance.may_decide(proposal.id, APPROVER)
    with pytest.raises(ProposalClosedError, match="void"):
        house.governance.decide(proposal.id, APPROVER, "approve")
    assert (house.proposal(proposal.id).state, house.adapter(proposal.adapter_digest).state) == ("void", "expired")
    assert house.serving() is None


@pytest.mark.parametrize(("column", "name"), [("report_digest", "report"), ("snapshot_digest", "data set")])
def test_another_report_or_data_set_makes_the_proposal_void(sqlite_house: Installation, column: str, name: str) -> None:
    proposal = sqlite_house.proposed("a" * 64)
    sqlite_house.evaluated("b" * 64)
    with sqlite_house.database.transaction() as session:  # behind the back of the rules
        adapter = session.get(Adapter, "a" * 64)
        setattr(adapter, column, "report-of-" + "b" * 64 if name == "report" else "snapshot-of-" + "b" * 64)
        session.add(adapter)
    with pytest.raises(ProposalClosedError, match=f"{name} changed"):
        sqlite_house.governance.decide(proposal.id, APPROVER, "approve")
    assert sqlite_house.proposal(proposal.id).state == "void"


# Promotion and rollback


def test_a_promotion_retires_the_adapter_before_it(house: Installation) -> None:
    first, second = house.live("a" * 64), house.live("b" * 64)
    assert (house.adapter(first).state, house.adapter(second).state) == ("retired", "serving")
    actions = [json.loads(body)["action"] for body in house.log()]
    assert actions[-6:] == [
        "decision.approve",
        "proposal.approved",
        "adapter.approved",
        "adapter.canary",
        "adapter.retired",
        "adapter.serving",
    ]


def test_rolling_back_goes_through_what_served_before_down_to_the_base_model(house: Installation) -> None:
    first, second, third = (house.live(letter * 64) for letter in "abc")
    restored = [house.governance.rollback("operator:kim", "wrong refund limit") for _ in range(3)]
    assert [adapter.digest if adapter else None for adapter in restored] == [second, first, None]
    assert house.serving() is None
    assert {house.adapter(digest).state for digest in (first, second, third)} == {"rolled_back"}
    with pytest.raises(IllegalStateError, match="base model"):
        house.governance.rollback("operator:kim", "again")


def test_after_a_rollback_the_next_promotion_can_be_rolled_back_too(sqlite_house: Installation) -> None:
    first = sqlite_house.live("a" * 64)
    sqlite_house.live("b" * 64)
    sqlite_house.governance.rollback("operator:kim", "worse")
    sqlite_house.live("c" * 64)
    restored = sqlite_house.governance.rollback("operator:kim", "worse again")
    assert restored is not None
    assert restored.digest == first


def test_a_rollback_of_a_named_adapter_takes_out_no_other_one(house: Installation) -> None:
    first, second = house.live("a" * 64), house.live("b" * 64)
    with pytest.raises(IllegalStateError, match=f"{first[:12]} is retired and adapter {second[:12]} answers"):
        house.governance.rollback("operator:kim", "worse", adapter_digest=first)
    restored = house.governance.rollback("operator:kim", "worse", adapter_digest=second)
    assert restored is not None
    assert (restored.digest, house.serving()) == (first, first)
    with pytest.raises(IllegalStateError, match=f"{second[:12]} is rolled back and adapter {first[:12]} answers"):
        house.governance.rollback("operator:kim", "worse", adapter_digest=second)


def test_of_two_rollbacks_of_a_named_adapter_at_once_one_is_made(house: Installation) -> None:
    first, second = house.live("a" * 64), house.live("b" * 64)

    def roll_back(_: int) -> bool:
        try:
            house.governance.rollback("operator:kim", "worse", adapter_digest=second)
        except IllegalStateError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(roll_back, range(4))) == [False, False, False, True]
    assert house.serving() == first


def test_a_rollback_needs_a_reason(sqlite_house: Installation) -> None:
    sqlite_house.live("a" * 64)
    with pytest.raises(ReasonRequiredError):
        sqlite_house.governance.rollback("operator:kim", " ")
    assert sqlite_house.serving() == "a" * 64


def test_a_failure_in_the_middle_of_a_promotion_leaves_the_old_state_and_no_record(
    house: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, proposal = house.live("a" * 64), house.proposed("b" * 64)
    before = house.log()
    append = house.audit.append

    def full_disk(session: Session, *entries: LogEntry) -> None:
        assert any(each.action == "adapter.serving" for each in entries)
        append(session, *entries[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(house.audit, "append", full_disk)
    with pytest.raises(OSError, match="No space"):
        house.governance.decide(proposal.id, APPROVER, "approve")
    monkeypatch.undo()
    assert house.serving() == old
    assert house.proposal(proposal.id).state == "open"
    assert house.log() == before
    assert house.governance.decide(proposal.id, APPROVER, "approve").promoted
    assert house.audit.verify(house.database).verified


# Many at once


def people(house: Installation, count: int) -> list[str]:
    with house.database.transaction() as session:
        return [ensure_person(session, "T1", f"U{n}", f"Person {n}", house.clock()).id for n in range(count)]


@pytest.mark.parametrize("count", [2, 50])
def test_simultaneous_decisions_end_in_one_outcome(house: Installation, count: int) -> None:
    house.use_policy(approval={"quorum": min(3, count)})
    proposal = house.proposed(shares={})
    voters = people(house, count)

    def vote(place: int) -> str:
        verdict = "reject" if count > 2 and place == 7 else "approve"
        try:
            outcome = house.governance.decide(proposal.id, voters[place], verdict, "a reason")
        except ProposalClosedError:
            return "closed"
        return "promoted" if outcome.promoted else outcome.proposal.state

    with ThreadPoolExecutor(count) as pool:
        results = list(pool.map(vote, range(count)))
    ends = [result for result in results if result in {"promoted", "rejected"}]
    assert len(ends) == 1
    state = house.proposal(proposal.id).state
    assert (ends[0], house.serving()) in {("promoted", proposal.adapter_digest), ("rejected", None)}
    assert state == ("approved" if ends[0] == "promoted" else "rejected")
    assert house.audit.verify(house.database).verified


def test_one_person_who_decides_twice_at_once_is_counted_once(house: Installation) -> None:
    house.use_policy(approval={"quorum": 2})
    proposal = house.proposed()

    def vote(_: int) -> str:
        try:
            return house.governance.decide(proposal.id, APPROVER, "approve").proposal.state
        except AlreadyDecidedError:
            return "already"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(vote, range(4))) == ["already", "already", "already", "open"]


def test_two_promotions_and_a_rollback_at_once_leave_at_most_one_serving(house: Installation) -> None:
    house.live("a" * 64)
    proposals = [house.proposed(letter * 64) for letter in "bc"]

    def approve(proposal: Proposal) -> None:
        house.governance.decide(proposal.id, APPROVER, "approve")

    def roll_back() -> None:
        try:
            house.governance.rollback("operator:kim", "worse")
        except ApprenticeError:
            return

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(approve, proposals[0]), pool.submit(approve, proposals[1]), pool.submit(roll_back)]:
            done.result()
    with house.database.read() as session:
        assert len(session.exec(select(Adapter).where(Adapter.state == "serving")).all()) == 1
    assert house.audit.verify(house.database).verified


def test_the_database_itself_refuses_a_second_serving_adapter(database: Database, house: Installation) -> None:
    house.live("a" * 64)
    house.evaluated("b" * 64)
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.exec(update(Adapter).where(Adapter.digest == "b" * 64).values(state="serving"))


def test_results_of_gates_can_be_stored_and_shown(sqlite_house: Installation) -> None:
    run = sqlite_house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    sqlite_house.governance.start_run(run.id, "snapshot", 3, {})
    sqlite_house.governance.register_adapter(run.id, "a" * 64, "base", None, "snapshot")
    results = sqlite_house.governance.record_evaluation("a" * 64, "report", GOOD)
    assert sqlite_house.adapter("a" * 64).gates == [asdict(result) for result in results]
