"""The answers that this process is making: who waits for a place in the engine, and what somebody stopped.

Nothing of it outlives the process: an answer of which it dies is begun again, as a question that nobody stopped.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

Item = TypeVar("Item")


@dataclass(eq=False)
class RunningAnswer:
    """One answer in the making. `turn` is its number among those given to the engine, None before that."""

    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    turn: int | None = None
    begun: bool = False

    @property
    def waits(self) -> bool:
        """Whether the engine has it and has said nothing yet."""
        return self.turn is not None and not self.begun


class RunningAnswers:
    """All of them, by channel and thread: of a thread, one is made at a time. Used from one event loop."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str], RunningAnswer] = {}
        self._turns = itertools.count()

    @contextmanager
    def begin(self, channel: str, thread_ts: str) -> Iterator[RunningAnswer]:
        """Count an answer as running for as long as the block runs."""
        answer = RunningAnswer()
        self._answers[channel, thread_ts] = answer
        try:
            yield answer
        finally:
            del self._answers[channel, thread_ts]

    def line_up(self, answer: RunningAnswer) -> None:
        """Note that the engine is given the question now; it takes them in this order."""
        answer.turn = next(self._turns)

    def before(self, answer: RunningAnswer) -> int:
        """Count the questions that the engine takes before this one."""
        turn = answer.turn
        if turn is None or answer.begun:
            return 0
        return sum(other.waits and other.turn is not None and other.turn < turn for other in self._answers.values())

    def any(self) -> bool:
        """Whether an answer is being made."""
        return bool(self._answers)

    def waiting(self) -> int:
        """Count the questions that wait for a place in the engine."""
        return sum(answer.waits for answer in self._answers.values())

    def stop(self, channel: str, thread_ts: str) -> bool:
        """Stop the answer in a thread; return whether there was one."""
        answer = self._answers.get((channel, thread_ts))
        if answer is not None:
            answer.stopped.set()
        return answer is not None


async def until(stopped: asyncio.Event, items: AsyncGenerator[Item, None]) -> AsyncGenerator[Item, None]:
    """Yield what `items` yields, until `stopped` is set; then nobody waits for the next item any more."""
    stop = asyncio.create_task(stopped.wait())
    try:
        while not stopped.is_set():
            coming = asyncio.ensure_future(anext(items))
            try:
                await asyncio.wait({coming, stop}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not coming.done():
                    coming.cancel()
                    await asyncio.wait({coming})
            try:
                item = coming.result()
            except (StopAsyncIteration, asyncio.CancelledError):
                return
            yield item
    finally:
        stop.cancel()
