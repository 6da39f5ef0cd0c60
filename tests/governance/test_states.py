"""The state machines: what is legal, and that nothing else is."""

import itertools
from typing import Any

import pytest
from sqlmodel import select

from governance.ledger import Ledger
from governance.states import MOVES, Kind, check_move
from storage.adapters import Adapter
from storage.errors import IllegalStateError
from storage.policies import PolicyVersion
from tests.governance.installation import Installation

CASES = [(kind, old, new) for kind, moves in MOVES.items() for old, new in itertools.product(moves, repeat=2)]


@pytest.mark.parametrize("kind", list(MOVES))
def test_every_state_that_can_follow_is_itself_a_state(kind: Kind) -> None:
    assert set().union(*MOVES[kind].values()) <= set(MOVES[kind])


@pytest.mark.parametrize(("kind", "old", "new"), CASES)
def test_only_the_listed_moves_are_legal(kind: Kind, old: str, new: str) -> None:
    if new in MOVES[kind][old]:
        check_move(kind, old, new)
    else:
        with pytest.raises(IllegalStateError, match=f"'{old}' and cannot become '{new}'"):
            check_move(kind, old, new)


def test_an_adapter_cannot_serve_without_having_been_approved() -> None:
    def states_before(state: str) -> set[str]:
        return {old for old, following in MOVES["adapter"].items() if state in following}

    assert states_before("serving") == {"canary", "retired"}
    assert states_before("canary") == {"approved"}
    assert states_before("approved") == {"proposed"}
    assert states_before("retired") == {"serving"}


def test_an_unknown_state_is_refused() -> None:
    with pytest.raises(IllegalStateError, match="no state"):
        check_move("adapter", "live", "retired")


@pytest.mark.parametrize(("kind", "row"), [("adapter", Adapter), ("policy", PolicyVersion)])
def test_an_illegal_move_changes_neither_the_row_nor_the_log(
    sqlite_house: Installation, kind: Kind, row: type[Any]
) -> None:
    """The whole square of states, on a row of the database."""
    house = sqlite_house
    house.evaluated("a" * 64)
    house.governance.policies.put_first_in_force("operator:kim")
    ledger, before = Ledger(house.database, house.policy, house.audit, house.clock), house.log()
    for old, new in itertools.product(MOVES[kind], repeat=2):
        if new in MOVES[kind][old]:
            continue
        with house.database.transaction() as session:
            found = session.exec(select(row)).one()
            found.state = old
            session.add(found)
        with pytest.raises(IllegalStateError), ledger.changes() as session:
            ledger.move(session, session.exec(select(row)).one(), new, actor="operator:kim")
        with house.database.read() as session:
            assert session.exec(select(row)).one().state == old
    assert house.log() == before
