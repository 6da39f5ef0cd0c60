"""What runs beside the engine leaves it its cores, and Python's lock."""

import gc
import os
import threading
import weakref
from collections.abc import Iterator

import pytest
import torch

from learning.hardware import in_thread_of_its_own, short_collections

needs_linux = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="only Linux lists a process's threads")  # noqa: PTH110


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def all_threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


def compute() -> bool:
    """Do an operation that is large enough to be shared among threads."""
    return bool(torch.ones(1 << 22).isfinite().all())


@needs_linux
def test_work_in_a_thread_of_its_own_leaves_no_pool_of_threads_behind(two_threads: None) -> None:
    torch.ones(1 << 22).isfinite()  # this thread's own pool is there from now on
    before = all_threads()

    assert in_thread_of_its_own(compute)

    while all_threads() > before:  # the system takes a moment to end them; they would stay for ever otherwise
        threading.Event().wait(0.001)


def test_what_goes_wrong_in_a_thread_of_its_own_is_raised_to_the_caller() -> None:
    def fail() -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        in_thread_of_its_own(fail)


class Loop:
    """Something that only the garbage collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_collections_leave_out_what_was_there_before_and_free_it_afterwards() -> None:
    loop = Loop()
    gone = weakref.ref(loop)
    with short_collections():
        assert loop not in gc.get_objects()
        del loop
        gc.collect()
        assert gone() is not None
        new = Loop()
        also_gone = weakref.ref(new)
        del new
        gc.collect()
        assert also_gone() is None

    gc.collect()
    assert gone() is None
