"""The real bot in the real double, on an event loop that a synchronous test runs as far as it likes."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from bot.slack.pace import Pace
from bot.slack.socket import connected, make_client
from bot.workspace.app import create_app as create_workspace_app
from bot.workspace.model import Faults, Message
from bot.workspace.serving import serve
from learning.base_model import BaseModel
from learning.engine import Engine
from storage import inbox
from storage.database import Database
from tests.bot.slack.conftest import (
    ASK,
    Bot,
    define_app,
    eventually,
    jobs_in,
    make_parts,
    new_workspace,
    owed,
    settings_for,
)

SETTLE_S = 0.02
"""After a kill: until the calls that were under way have reached the double, as they reach Slack."""
LIMITS = ("questions_per_person_per_minute", "questions_per_channel_per_minute", "waiting_questions_per_person")
"""None of them holds: a refused question has no answer."""
Result = TypeVar("Result")


class Stage:
    """What all examples share, because making it takes long: the loop, the web server, model and engine."""

    def __init__(self, base: BaseModel, engine: Engine, template: Path) -> None:
        self.base, self.engine, self.template = base, engine, template
        self.shown: FastAPI | None = None
        self._loop = asyncio.new_event_loop()
        self._threads = ThreadPoolExecutor()
        self._loop.set_default_executor(self._threads)
        self._stack = AsyncExitStack()
        self.url = self.do(self._stack.enter_async_context(serve(self))) + "/"  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the workspace of the example that is on."""
        assert self.shown is not None
        await self.shown(scope, receive, send)

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run the loop until this is done, and no longer."""
        return self._loop.run_until_complete(work)

    def work(self, seconds: float) -> None:
        """Let the bot go on for so long."""
        self.do(asyncio.sleep(seconds))

    def end_threads(self) -> None:
        """Wait for what threads have in hand; of a process that is killed they would die, and not go on later."""
        self._threads.shutdown(wait=True)
        self._threads = ThreadPoolExecutor()
        self._loop.set_default_executor(self._threads)

    def close(self) -> None:
        self.do(self._stack.aclose())
        self._threads.shutdown(wait=True)
        self._loop.close()


class House:
    """One workspace with one bot in it. The bot may read the channel, and so gets two events of each mention."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "apprentice.db"
        copyfile(stage.template, path)
        self.workspace = new_workspace(define_app())
        self.stage.shown = create_workspace_app(self.workspace)
        self.people, self.sockets = stage.shown.state.people, stage.shown.state.sockets
        self.sockets.retry_pause_s = 0.01
        self.held: list[tuple[str, Any, bool]] | None = None
        self._deliver, self.workspace.deliver = self.workspace.deliver, self.deliver
        settings = settings_for(stage.url).model_copy(update=dict.fromkeys(LIMITS, 0))
        database = Database(f"sqlite:///{path}")
        parts = make_parts(settings, database, stage.engine, stage.base, Path(self.folder.name), Pace(), tokens=6)
        client = make_client(settings)
        client.retry_handlers.clear()  # each fault comes through to our own code
        self._stack = AsyncExitStack()
        link = stage.do(self._stack.enter_async_context(connected(parts, client, settings)))
        self.bot = Bot(parts, client, link)
        self.bot_is_dead = True

    def deliver(self, kind: str, payload: Any, answers: bool) -> None:  # noqa: FBT001 - the type Deliver
        """Deliver an event, or hold it back while events are held."""
        if self.held is None:
            self._deliver(kind, payload, answers)
        else:
            self.held.append((kind, payload, answers))

    def release(self, order: Random) -> None:
        """Deliver what was held, in another order."""
        held, self.held = self.held or [], None
        order.shuffle(held)

        async def deliver() -> None:
            for envelope in held:
                self._deliver(*envelope)

        self.stage.do(deliver())

    def start(self) -> None:
        """Start worker and deliverer as a process does."""
        with self.bot.parts.database.transaction() as session:
            inbox.requeue_unfinished(session)

        async def start() -> None:
            self.bot.start_worker()

        self.stage.do(start())
        self.bot_is_dead = False

    def kill(self) -> None:
        """End worker and deliverer wherever they are."""
        self.stage.do(self.bot.stop_worker())
        self.stage.work(SETTLE_S)
        self.stage.end_threads()
        self.bot_is_dead = True

    def drop_sockets(self) -> None:
        """Break the socket; the faults of calls are not for the client's own calls to open another."""
        faults, self.workspace.faults = self.workspace.faults, Faults()
        self.stage.do(self.sockets.drop())
        self.stage.do(eventually(self._is_connected))
        self.workspace.faults = faults

    async def _is_connected(self) -> bool:
        return self.sockets._connected.is_set()

    def drain(self) -> None:
        """Let everything come to its end: no more faults, all delivered, all done, all sent."""
        self.workspace.faults = Faults()
        self.release(Random(0))
        if self.bot_is_dead:
            self.start()
        self.stage.do(eventually(self._is_idle))

    async def _is_idle(self) -> bool:
        if self.workspace.unacknowledged():
            return False
        rows = [*await asyncio.to_thread(jobs_in, self.bot), *await asyncio.to_thread(owed, self.bot)]
        return all(row.state in {"done", "sent", "failed"} for row in rows)

    def said(self) -> list[Message]:
        """Return what the bot said in the channel, and all can see."""
        seen = self.workspace.messages(ASK)
        return [message for message in seen if message.user == self.workspace.bot_user and message.seen_by is None]

    def close(self) -> None:
        self.kill()
        self.stage.do(self._stack.aclose())
        self.stage.do(self.sockets.close())
        self.bot.parts.database.close()
        self.folder.cleanup()
