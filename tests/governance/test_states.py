"""The state machines: what is legal, and that nothing else is."""

import itertools

import pytest

from governance.states import MOVES, Kind, check_move
from storage.errors import IllegalStateError

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
