"""Which adapters stay in memory, and what is said where one has no room."""

import threading

import pytest

from learning.hardware import MB, Hardware
from learning.residency import EngineError, Residency, adapter_budget


def filled(budget: int, *digests: str) -> Residency:
    """Return a residency with adapters of one byte each."""
    residency = Residency(budget, patience_s=0)
    for digest in digests:
        assert residency.make_room(digest, 1) == []
        residency.add(digest, 1)
    return residency


def test_adapters_may_take_what_the_settings_say_or_an_eighth_of_the_memory() -> None:
    hardware = Hardware("cpu", "float32", 1, 1024 * MB, "test")
    assert adapter_budget(hardware, 100) == 100 * MB
    assert adapter_budget(hardware) == 128 * MB


def test_those_that_nobody_used_for_longest_go_first_and_no_more_than_needed() -> None:
    residency = filled(4, "a", "b", "c", "d")
    residency.use("a")
    residency.claim("b")
    residency.release("b")
    assert residency.make_room("e", 2) == ["c", "d"]
    assert ["a" in residency, "b" in residency, "c" in residency] == [True, True, False]


def test_neither_the_serving_adapter_nor_one_with_requests_goes() -> None:
    residency = filled(3, "a", "b", "c")
    residency.serve("a")
    residency.claim("b")
    assert residency.make_room("d", 1) == ["c"]
    residency.add("d", 1)
    residency.claim("d")
    with pytest.raises(EngineError, match=r"adapter e needs .* those in use leave too little"):
        residency.make_room("e", 1)
    residency.release("b")
    assert residency.make_room("e", 1) == ["b"]


def test_room_that_an_answer_holds_is_waited_for() -> None:
    residency = Residency(1)
    residency.add("a", 1)
    residency.claim("a")
    gone: list[str] = []
    waiting = threading.Thread(target=lambda: gone.extend(residency.make_room("b", 1)))
    waiting.start()
    residency.release("a")
    waiting.join()
    assert gone == ["a"]


@pytest.mark.parametrize(("size", "message"), [(4, "needs 0.0 MB, the budget"), (3, "and the one that serves takes")])
def test_what_can_never_fit_is_refused_at_once_and_nothing_goes(size: int, message: str) -> None:
    residency = filled(3, "a", "b")
    residency.serve("a")
    for check in (residency.check_size, residency.make_room):
        with pytest.raises(EngineError, match=message):
            check("c", size)
    assert "b" in residency


def test_an_adapter_in_use_cannot_be_removed() -> None:
    residency = filled(2, "a", "b")
    residency.serve("a")
    residency.claim("b")
    with pytest.raises(EngineError, match="a serves; let another one serve first"):
        residency.remove("a")
    with pytest.raises(EngineError, match="b is answering"):
        residency.remove("b")
    residency.release("b")
    assert residency.remove("b")
    assert not residency.remove("b")
    for act in (residency.serve, residency.claim, residency.use):
        with pytest.raises(EngineError, match="b is not loaded"):
            act("b")


def test_the_serving_adapter_is_claimed_as_it_is_at_that_moment() -> None:
    residency = filled(2, "a", "b")
    assert residency.claim_serving() is None
    residency.serve("a")
    assert residency.claim_serving() == "a"
    residency.serve("b")
    with pytest.raises(EngineError, match="a is answering"):
        residency.remove("a")
