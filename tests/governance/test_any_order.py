"""Whatever is called in whatever order: one adapter serves at most, history is legal, and the log verifies."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlmodel import select

from governance.gates import Metric
from governance.states import MOVES
from storage.adapters import Adapter
from storage.database import Database
from storage.errors import ApprenticeError
from storage.proposals import Proposal, Verdict, decisions_on, list_proposals
from tests.governance.installation import APPROVER, BAD, EXPERT, GOOD, OTHER, STARTER, Installation
from tests.stateful import run_examples

PEOPLE = st.sampled_from([STARTER, EXPERT, APPROVER, OTHER])
VERDICTS = st.sampled_from(["approve", "approve", "approve", "reject"])
WORTH_SEEING = {
    *(f"proposal.{end}" for end in ("approved", "rejected", "expired", "void")),
    *(f"adapter.{state}" for state in ("serving", "retired", "rolled_back", "rejected", "expired")),
    *(f"decision.{verdict}" for verdict in ("approve", "reject")),
}
"""Without these in the log, that no rule was broken would say little."""
PLACES = st.sampled_from([0, 0, 0, 1, 2])
"""How far back, mostly the newest: what happens to those that are closed is seen soon enough."""


class Organisation(RuleBasedStateMachine):
    """People, the clock and an operator, doing anything at any time; refusals are part of normal life."""

    template: Path
    happened: ClassVar[Counter[str]]
    """How often each kind of audit record was written, over all examples."""

    @initialize(quorum=st.sampled_from([1, 2]))
    def open_installation(self, quorum: int) -> None:
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "apprentice.db"
        copyfile(self.template, path)
        self.house = Installation(Database(f"sqlite:///{path}"), Path(self.folder.name))
        self.house.use_policy(approval={"quorum": quorum})
        self.adapters: list[str] = []
        self.proposals: list[Proposal] = []
        self.ends: dict[str, str] = {}

    @rule(metrics=st.sampled_from([GOOD, GOOD, GOOD, BAD]), propose=st.sampled_from([True, True, False]))
    def train(self, metrics: dict[str, Metric], propose: bool) -> None:  # noqa: FBT001 - called by Hypothesis
        self.adapters.append(self.house.evaluated(f"{len(self.adapters):064d}", metrics))
        if propose:
            self.propose(0)

    @rule(back=PLACES)
    def propose(self, back: int) -> None:
        if back < len(self.adapters):
            digest = self.adapters[-1 - back]
            self.attempt(lambda: self.proposals.append(self.house.governance.propose(digest, {EXPERT: 0.75})))

    @rule(back=PLACES, votes=st.lists(st.tuples(PEOPLE, VERDICTS), min_size=2, max_size=5))
    def decide(self, back: int, votes: list[tuple[str, Verdict]]) -> None:
        if back == 0 or not self.proposals:  # otherwise most votes would meet closed proposals
            self.train(GOOD, propose=True)
        proposal = self.proposals[max(-1 - back, -len(self.proposals))]
        for person, verdict in votes:
            self.attempt(partial(self.house.governance.decide, proposal.id, person, verdict, "a reason"))

    @rule()
    def roll_back(self) -> None:
        self.attempt(lambda: self.house.governance.rollback("operator:kim", "worse"))

    @rule(days=st.integers(1, 8))
    def wait(self, days: int) -> None:
        self.house.clock.advance(days=days)
        self.house.governance.expire_proposals()

    @rule()
    def change_the_policy(self) -> None:
        days = self.house.policy.approval.expiry_days % 14 + 1
        self.house.use_policy(approval={"expiry_days": days})

    @invariant()
    def at_most_one_adapter_serves(self) -> None:
        with self.house.database.read() as session:
            serving = session.exec(select(Adapter).where(Adapter.state == "serving")).all()
        assert len(serving) <= 1

    @invariant()
    def whoever_approved_was_entitled(self) -> None:
        with self.house.database.read() as session:
            for proposal in list_proposals(session):
                decided = decisions_on(session, proposal.id)
                assert not {STARTER, EXPERT} & {decision.person_id for decision in decided}
                approvals = [decision for decision in decided if decision.verdict == "approve"]
                assert proposal.state != "approved" or len(approvals) == len(decided) > 0

    @invariant()
    def a_proposal_ends_once(self) -> None:
        with self.house.database.read() as session:
            states = {proposal.id: proposal.state for proposal in list_proposals(session)}
        assert states | self.ends == states
        self.ends = {proposal: state for proposal, state in states.items() if state != "open"}
        told = [content for content in map(json.loads, self.house.log()) if content["action"].startswith("proposal.")]
        ended = [(content["object"], content["action"]) for content in told if content["action"] != "proposal.open"]
        assert sorted(ended) == sorted((proposal, f"proposal.{state}") for proposal, state in self.ends.items())

    @invariant()
    def the_log_verifies_and_tells_the_present_state(self) -> None:
        assert self.house.audit.verify(self.house.database).verified
        told: dict[str, str] = {}
        for content in map(json.loads, self.house.log()):
            kind, _, state = content["action"].partition(".")
            if kind == "adapter":
                before = told.get(content["object"])
                assert state == "candidate" if before is None else state in MOVES["adapter"][before]
                told[content["object"]] = state
        with self.house.database.read() as session:
            assert told == {adapter.digest: adapter.state for adapter in session.exec(select(Adapter))}

    def attempt(self, act: Callable[[], object]) -> None:
        try:
            act()
        except ApprenticeError:
            return

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self.happened.update(json.loads(body)["action"] for body in self.house.log())
            self.house.database.close()
            self.folder.cleanup()


@pytest.mark.parametrize(
    ("examples", "steps"), [(30, 20), pytest.param(150, 30, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
def test_no_order_of_events_breaks_the_rules(sqlite_template: Path, examples: int, steps: int) -> None:
    class ThisOrganisation(Organisation):
        template = sqlite_template
        happened: ClassVar[Counter[str]] = Counter()

    run_examples(ThisOrganisation, examples, steps)
    assert set(ThisOrganisation.happened) >= WORTH_SEEING
