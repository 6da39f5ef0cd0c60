"""`apprentice bench slack`: how soon events are acknowledged and how many a second, beside Bolt that stores nothing.

The local workspace runs here, the app in a process of its own; between them are real websockets and a real Web API.
People mention the app at a steady rate, and the app answers meanwhile, which is more work than acknowledging. An event
that is acknowledged late counts with the whole time since it was first sent, however often it was delivered.
"""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI

from bot.bench.child import BenchError, running_child
from bot.bench.slack_bot import BotJob, Side
from bot.local import app_definition
from bot.workspace.app import create_app
from bot.workspace.model import Json
from bot.workspace.people import People
from bot.workspace.seed import Channel, Member, make_workspace
from bot.workspace.serving import serve
from bot.workspace.socket_mode import SocketMode
from bot.workspace.state import Workspace
from storage.database import Database
from storage.inbox import list_events
from storage.scratch import scratch_database

SIDES: tuple[Side, ...] = ("ours", "plain")
RATES = (25, 50, 100, 200, 400, 800, 1_000, 2_000, 4_000)
PEOPLE = 20
CHANNEL = "CASK"
CONNECT_SECONDS = 120
LOOK_SECONDS = 0.05
COMPARED = 200
"""Events a second at which the two sides are compared, or the rate nearest to it."""
ENGINE = "stubbed: every question gets the same text at once, so that the app, and not a model, is measured"
SHOW = Callable[[str, int, int, str], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Sent:
    """Messages by their ts, the seconds that sending them took, and those until the last acknowledgement."""

    messages: list[str]
    sending: float
    acknowledging: float


class Load:
    """People who mention the app, and the seconds after which each mention was acknowledged, by the message's ts."""

    def __init__(self, workspace: Workspace, people: People, sockets: SocketMode) -> None:
        self._workspace = workspace
        self._people = people
        self._users = [member.id for member in workspace.members.values() if not member.is_bot]
        self._last = 0.0
        self.waits: dict[str, float] = {}
        sockets.on_acknowledged = self._note

    async def send(self, rate: float, seconds: float) -> Sent:
        """Send mentions at `rate` a second, and wait until each was acknowledged or given up."""
        loop = asyncio.get_running_loop()
        started, sent = loop.time(), []
        for number in range(max(1, round(rate * seconds))):
            await asyncio.sleep(max(0.0, started + number / rate - loop.time()))
            text = f"<@{self._workspace.bot_user}> How is kite {number} folded?"
            sent.append(await self._people.send(self._users[number % len(self._users)], CHANNEL, text))
        sending = loop.time() - started
        while self._workspace.unacknowledged():  # noqa: ASYNC110 - what is given up is told in no other way
            await asyncio.sleep(LOOK_SECONDS)
        return Sent(sent, sending, self._last - started)

    def _note(self, envelope: Json, seconds: float) -> None:
        self.waits[envelope["payload"]["event"]["ts"]] = seconds
        self._last = asyncio.get_running_loop().time()


def measure(rates: Sequence[int], seconds: float, folder: Path, database_url: str, show: SHOW) -> dict[str, Any]:
    """Measure both sides, one after the other.

    Args:
        rates: events a second, in the order in which they are tried.
        seconds: how long each lasts.
        folder: where the sides keep their files.
        database_url: a PostgreSQL database, in which a schema is made and dropped; empty for SQLite in `folder`.
        show: hears of progress.

    Returns:
        `rates` and `plain`: of each rate how many were sent, acknowledged and lost, how many a second these were in
        truth, and p50_ms and p99_ms from the sending of an event to its acknowledgement. Lost is what is not once in
        our inbox, or was never acknowledged by plain Bolt. `saturation_events_per_s`: the most acknowledgements a
        second at a rate that lost none. `ours_to_plain`: our waits, divided by those of plain Bolt.

    """
    with scratch_database(database_url, folder) as own:
        sides = {side: asyncio.run(_measure_side(side, rates, seconds, folder, own, show)) for side in SIDES}
    ours, plain = sides["ours"], sides["plain"]
    return {
        "seconds_a_rate": seconds,
        "database": "postgresql" if database_url else "sqlite",
        "engine": ENGINE,
        "rates": ours,
        "plain": plain,
        "saturation_events_per_s": _saturation(ours),
        "plain_saturation_events_per_s": _saturation(plain),
        "ours_to_plain": _compared(ours, plain),
    }


async def _measure_side(
    side: Side, rates: Sequence[int], seconds: float, folder: Path, database_url: str, show: SHOW
) -> list[dict[str, Any]]:
    workspace, rows = _workspace(), []
    web, local = FastAPI(), create_app(workspace)
    web.mount("/workspace", local)
    load = Load(workspace, local.state.people, local.state.sockets)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serve(web))
        stack.push_async_callback(local.state.sockets.close)
        job = _job(side, workspace, f"{url}/workspace/api/", database_url, folder / f"{side}-data")
        ended = await stack.enter_async_context(running_child("bot.bench.slack_bot", job, folder / side))
        await _unless(ended, _connected(local.state.sockets))
        for number, rate in enumerate(rates):
            show(side, number, len(rates), f"{rate} events a second")
            sent = await _unless(ended, load.send(rate, seconds))
            kept = await asyncio.to_thread(_stored, database_url) if side == "ours" else Counter(load.waits.keys())
            rows.append(_row(rate, sent, load.waits, kept))
        show(side, len(rates), len(rates), "")
    return rows


async def _connected(sockets: SocketMode) -> None:
    try:
        await asyncio.wait_for(sockets.wait_for_app(), CONNECT_SECONDS)
    except TimeoutError as error:
        raise BenchError(f"the app did not connect within {CONNECT_SECONDS} s. Is the machine busy?") from error


def _row(rate: int, sent: Sent, waits: Mapping[str, float], kept: Mapping[str, int]) -> dict[str, Any]:
    waited = sorted(waits[ts] for ts in sent.messages if ts in waits)
    return {
        "events_per_s": rate,
        "sent": len(sent.messages),
        "sent_per_s": round(len(sent.messages) / sent.sending, 1),
        "acknowledged": len(waited),
        "acknowledged_per_s": round(len(waited) / sent.acknowledging, 1),
        "lost": sum(kept.get(ts) != 1 for ts in sent.messages),
        "p50_ms": _percentile_ms(waited, 0.50),
        "p99_ms": _percentile_ms(waited, 0.99),
    }


def _stored(database_url: str) -> Counter[str]:
    """Count how often each message is in the inbox."""
    database = Database(database_url)
    try:
        with database.read() as session:
            return Counter(event.payload["ts"] for event in list_events(session))
    finally:
        database.close()


def _percentile_ms(ordered: Sequence[float], share: float) -> float | None:
    """Return the wait that this share of all did not exceed; None when there is none."""
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)] * 1_000, 1)


def _saturation(rows: Sequence[dict[str, Any]]) -> float:
    return max((row["acknowledged_per_s"] for row in rows if not row["lost"]), default=0.0)


def _compared(ours: Sequence[dict[str, Any]], plain: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Divide our waits by those of plain Bolt: what it costs that nothing is lost."""
    at = min(range(len(ours)), key=lambda number: abs(ours[number]["events_per_s"] - COMPARED))
    compared = {"events_per_s": ours[at]["events_per_s"]}
    for name in ("p50", "p99"):
        mine, theirs = ours[at][f"{name}_ms"], plain[at][f"{name}_ms"]
        compared[name] = round(mine / theirs, 2) if mine and theirs else None
    return compared


async def _unless(ended: "asyncio.Task[None]", work: Awaitable[Result]) -> Result:
    """Do the work, or fail as soon as the app ends by itself."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({ended, task}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await ended
    return await task


def _job(side: Side, workspace: Workspace, api_url: str, database_url: str, data_folder: Path) -> BotJob:
    app = workspace.app
    return BotJob(
        side=side, bot_token=app.bot_token, app_token=app.app_token, api_url=api_url, database_url=database_url,
        data_folder=data_folder,
    )  # fmt: skip


def _workspace() -> Workspace:
    members = [Member(f"U{number:03}", f"person{number}", f"Person {number}") for number in range(PEOPLE)]
    channel = Channel(CHANNEL, "ask-apprentice", tuple(member.id for member in members))
    app = replace(app_definition(), events=frozenset({"app_mention"}))  # so that a mention is one event, and not two
    return make_workspace("Bench", members, [channel], app)
