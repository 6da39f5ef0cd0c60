"""Each move of each state machine, made by the flow that makes it, has an audit record of its own."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from sqlalchemy import event

from governance.states import MOVES, Kind
from storage.adapters import Adapter
from storage.break_glass import BreakGlass
from storage.feedback import Feedback
from storage.policies import PolicyVersion
from storage.proposals import Proposal
from storage.runs import Run
from tests.governance.installation import APPROVER, BAD, EXPERT, OTHER, STARTER, Installation
from tests.governance.test_policy_changes import LOOSE, OPERATOR, changed

ROWS: Mapping[Kind, type[Any]] = {
    "adapter": Adapter,
    "proposal": Proposal,
    "break_glass": BreakGlass,
    "run": Run,
    "feedback": Feedback,
    "policy": PolicyVersion,
}
Move = tuple[Kind, str, str]
EVERY_MOVE: set[Move] = {(kind, old, new) for kind, moves in MOVES.items() for old in moves for new in moves[old]}
GLASS: dict[str, object] = {"who": ["U_STARTER"], "tell": ["U_OTHER"]}
WHY = "The refund limit that it answers is wrong."


class Watcher:
    """Sees every change of a state, whatever code makes it."""

    def __init__(self) -> None:
        self.seen: list[tuple[Kind, Any, str, str]] = []

    def of(self, kind: Kind) -> Callable[[Any, Any, Any, Any], None]:
        def note(row: Any, new: Any, old: Any, _: Any) -> None:
            if isinstance(old, str):  # not a new row's first state
                self.seen.append((kind, row, old, new))

        return note

    @property
    def moves(self) -> set[Move]:
        return {(kind, old, new) for kind, _, old, new in self.seen}

    def histories(self) -> dict[str, list[str]]:
        """Return the states that each row went through, as the log names them."""
        found = defaultdict[str, list[str]](list)
        for kind, row, _, new in self.seen:
            found[row.digest if kind == "adapter" else row.id].append(f"{kind}.{new}")
        return dict(found)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    watcher = Watcher()
    listeners = {kind: watcher.of(kind) for kind in ROWS}
    for kind, note in listeners.items():
        event.listen(ROWS[kind].state, "set", note)
    yield watcher
    for kind, note in listeners.items():
        event.remove(ROWS[kind].state, "set", note)


def recorded(house: Installation) -> dict[str, list[str]]:
    """Return the moves that the log tells of, by what moved, in their order."""
    to = {f"{kind}.{new}" for kind, _, new in EVERY_MOVE}
    found = defaultdict[str, list[str]](list)
    for content in map(json.loads, house.log()):
        if content["action"] in to:
            found[content["object"]].append(content["action"])
    return dict(found)


def decide_on_adapters(house: Installation, digests: Iterator[str]) -> None:
    rules = house.governance
    house.evaluated(next(digests), BAD)
    rules.decide(house.proposed(next(digests)).id, APPROVER, "reject", "it rambles")
    house.proposed(next(digests))
    house.clock.advance(days=8)
    rules.expire_proposals()
    house.live(next(digests))
    house.live(next(digests))
    rules.rollback("operator:kim", "worse")


def take_out_of_each_stage(house: Installation, digests: Iterator[str]) -> None:
    for rollout in ({"shadow_share": 0.5}, {"canary_share": 0.5}):
        house.use_policy(rollout={"shadow_share": 0.0, "canary_share": 0.0, **rollout})
        house.live(next(digests))
        house.governance.rollback("operator:kim", "worse")
    house.use_policy(rollout={"shadow_share": 0.0, "canary_share": 0.0})


def make_a_proposal_void(house: Installation, digests: Iterator[str]) -> None:
    house.proposed(next(digests))
    house.use_policy(approval={"expiry_days": 5})
    house.governance.expire_proposals()


def break_the_glass(house: Installation, digests: Iterator[str]) -> None:
    house.use_policy(break_glass=GLASS)
    rules = house.governance
    unconfirmed = house.proposed(next(digests))
    rules.break_glass(unconfirmed.id, STARTER, WHY)
    house.clock.advance(hours=25)
    rules.take_out_unconfirmed()
    glass, _ = rules.break_glass(house.proposed(next(digests)).id, STARTER, WHY)
    rules.confirm_break_glass(glass.id, APPROVER)
    rules.rollback("operator:kim", "worse after all")


def end_runs(house: Installation, digests: Iterator[str]) -> None:
    rules = house.governance

    def run(*states: str) -> str:
        made = rules.queue_run(started_by=STARTER, recipe="default", base_digest="base")
        for state in states:
            if state == "running":
                rules.start_run(made.id, f"snapshot-of-{made.id}", 4, {})
            else:
                rules.finish_run(made.id, state)  # type: ignore[arg-type]
        return made.id

    for end in ("cancelled", "failed", "interrupted"):
        run(end)
        run("running", end)
    run("running", "succeeded")
    rules.resume_run(run("running", "interrupted"))
    rules.cancel_run(run("running", "interrupted"), STARTER)
    rules.finish_run(run("running", "interrupted"), "failed")


def say(house: Installation, text: str, by: str = EXPERT) -> str:
    return house.governance.record_feedback(
        workspace_id="T1", person_id=by, kind="correction", question=f"What is {text}?", answer="a", text=text,
        source="slack",
    ).id  # fmt: skip


def received(house: Installation, feedback_id: str) -> str:
    """Keep feedback that nobody looked at yet, as a process leaves it that knows no screening."""
    with house.database.transaction() as session:
        session.add(
            Feedback(
                id=feedback_id, workspace_id="T1", person_id=EXPERT, kind="correction", question="q", answer="a",
                text=feedback_id, source="slack", state="received", created_at=house.clock(),
            )
        )  # fmt: skip
    return feedback_id


def say_and_erase(house: Installation, digests: Iterator[str]) -> None:
    house.use_policy(privacy={"kinds": {"email": "quarantine"}})
    personal = [f"mira{number}@kites.example" for number in range(4)]
    set_aside = [say(house, text) for text in personal]
    house.governance.review_feedback(set_aside[0], OTHER, accept=True)
    house.governance.review_feedback(set_aside[1], OTHER, accept=False, reason="personal")
    house.governance.withdraw_feedback(set_aside[2], EXPERT)
    house.governance.withdraw_feedback(say(house, "accepted and taken back"), EXPERT)
    house.governance.withdraw_feedback(received(house, "fb_received_and_taken_back"), EXPERT)
    received(house, "fb_received")
    contested = [say(house, "the 26th"), say(house, "the 27th")]
    house.governance.contest_feedback([(contested, [])])

    house.use_policy(feedback={"corrections_need_review": True})
    house.governance.review_feedback(say(house, "right"), OTHER, accept=True)
    declined = say(house, "wrong")
    house.governance.review_feedback(declined, OTHER, accept=False, reason="wrong")
    house.governance.withdraw_feedback(declined, EXPERT)
    house.governance.withdraw_feedback(say(house, "never mind"), EXPERT)

    house.use_policy(feedback={"corrections_need_review": False}, privacy={"kinds": {"email": "keep"}})
    say(house, "found later: mira9@kites.example")
    house.use_policy(privacy={"kinds": {"email": "quarantine"}})
    house.governance.screen_stored()
    say(house, "accepted")
    house.governance.erase_person(EXPERT, "operator:kim")


def change_the_policy(house: Installation, digests: Iterator[str]) -> None:
    policies = house.governance.policies
    policies.put_first_in_force(OPERATOR)
    wanted = changed(house.policy, **LOOSE)
    policies.decide(policies.propose(wanted, OPERATOR).id, APPROVER, "reject", "guests talk")
    policies.propose(wanted, OPERATOR)
    house.clock.advance(days=8)
    policies.close_stale()
    policies.withdraw(policies.propose(wanted, OPERATOR).id, OPERATOR, "not yet")
    policies.propose(wanted, OPERATOR)
    other = policies.propose(changed(house.policy, approval={"quorum": 2}), OPERATOR)
    policies.decide(other.id, APPROVER, "approve")
    policies.close_stale()


FLOWS: tuple[Callable[[Installation, Iterator[str]], None], ...] = (
    decide_on_adapters,
    take_out_of_each_stage,
    make_a_proposal_void,
    break_the_glass,
    end_runs,
    say_and_erase,
    change_the_policy,
)


def test_each_move_of_the_tables_is_made_and_has_its_record(sqlite_house: Installation, watcher: Watcher) -> None:
    digests = (f"{number:064x}" for number in range(100))
    for flow in FLOWS:
        flow(sqlite_house, digests)

    assert watcher.moves == EVERY_MOVE
    assert recorded(sqlite_house) == watcher.histories()
    assert sqlite_house.audit.verify(sqlite_house.database).verified
