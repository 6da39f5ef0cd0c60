"""A process that is killed at any statement of a promotion or a rollback leaves the old state or the new one, whole."""

import itertools
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import event

from governance.audit import AuditLog
from governance.flows import Governance
from governance.policy import Policy
from storage.database import Database
from tests.governance.installation import APPROVER, STARTER, Clock, Installation

OLD, NEW = "a" * 64, "b" * 64
PROCESSES = multiprocessing.get_context("forkserver")
"""Each is forked from one that has this module and no threads: a killed one costs no start of Python."""
PROCESSES.set_forkserver_preload([__name__])


class Place(NamedTuple):
    """Where a process finds the installation, and at which time it looks at the clock first."""

    url: str
    folder: Path
    policy: Policy
    clock: Clock


def approve(governance: Governance, proposal_id: str) -> None:
    governance.decide(proposal_id, APPROVER, "approve")


def roll_back(governance: Governance, _: str) -> None:
    governance.rollback("operator:kim", "worse")


Act = Callable[[Governance, str], None]


def do(place: Place, act: Act, proposal_id: str, step: int) -> None:
    """Do it, and be killed before the statement or commit number `step`."""
    database = Database(place.url)
    steps = itertools.count(1)

    def reach(*_: Any) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(database.engine, "before_cursor_execute", reach)
    event.listen(database.engine, "commit", reach)
    audit = AuditLog(place.folder / "keys", place.folder / "checkpoints")
    act(Governance(database, place.policy, audit, place.clock), proposal_id)


def was_killed(house: Installation, act: Act, proposal_id: str, step: int) -> bool:
    url = house.database.url.render_as_string(hide_password=False)
    place = Place(url, house.folder, house.policy, house.clock)
    process = PROCESSES.Process(target=do, args=(place, act, proposal_id, step))
    process.start()
    process.join()
    assert process.exitcode in {0, -signal.SIGKILL}
    return process.exitcode != 0


class State(NamedTuple):
    """What must change together."""

    serving: str | None
    old: str
    new: str
    proposal: str
    records: int


def state(house: Installation, proposal_id: str) -> State:
    proposal = house.proposal(proposal_id)
    return State(house.serving(), house.adapter(OLD).state, house.adapter(NEW).state, proposal.state, len(house.log()))


@pytest.mark.parametrize("act", [approve, roll_back])
def test_a_killed_process_leaves_the_old_or_the_new_state(house: Installation, act: Act) -> None:
    house.live(OLD)
    proposal = house.proposed(NEW)
    if act is roll_back:
        approve(house.governance, proposal.id)
    before = state(house, proposal.id)

    kills, after = 0, before
    while after == before and was_killed(house, act, proposal.id, kills + 1):
        kills += 1
        after = state(house, proposal.id)
        assert after != before or house.audit.verify(house.database).verified

    expected: dict[Act, tuple[str, ...]] = {
        approve: (NEW, "retired", "serving", "approved"),
        roll_back: (OLD, "serving", "rolled_back", "approved"),
    }
    assert after[:4] == expected[act]
    assert after.records > before.records
    assert kills > 10
    house.governance.queue_run(
        started_by=STARTER, recipe="default", base_digest="base"
    )  # signs what the last one did not
    assert house.audit.verify(house.database).verified
