"""Keeps connections to Slack open: each is watched, and built anew from nothing when it no longer works.

The SDK's client is known to wedge: it goes on with a session that is closed, or does not notice that nothing comes any
more (python-slack-sdk issues 1110, 1280, 1446, 1701, 1922). So it does not mend itself here, except where Slack asks it
to move: a client that has a problem is thrown away after another one is connected in its place.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.socket_mode.aiohttp import SocketModeClient

from bot.slack.health import Health
from bot.slack.refusals import error_code

log = logging.getLogger(__name__)

UNANSWERED_PINGS = 4
"""Pings in a row without an answer after which a connection is dead; the SDK counts so too."""

MakeClient = Callable[[], SocketModeClient]


@dataclass(frozen=True)
class Patience:
    """How long things may take, in seconds.

    `silence` is for a connection whose pings are answered while no message comes: in a quiet workspace that is as it
    should be, so this only costs a new connection now and then.
    """

    connect: float = 30.0
    close: float = 3.0
    ping_interval: float = 10.0
    silence: float = 900.0
    look: float = 1.0
    first_pause: float = 1.0
    longest_pause: float = 30.0


class WatchedSocket:
    """One connection, whichever client holds it at the moment."""

    def __init__(self, name: str, make: MakeClient, patience: Patience, now: Callable[[], float]) -> None:
        self.connected = asyncio.Event()
        """Set once it was open for the first time."""
        self._name = name
        self._make = make
        self._patience = patience
        self._now = now
        self._client: SocketModeClient | None = None
        self._last_message = 0.0

    async def run(self) -> None:
        """Hold the connection until cancelled, and close it then."""
        try:
            while True:
                try:
                    await self._replace()
                    log.warning("%s is built anew: %s", self._name, await self._next_problem())
                except Exception:  # whatever it is, the connection must not stay away because of it
                    log.exception("%s failed", self._name)
                    await asyncio.sleep(self._patience.longest_pause)
        finally:
            if self._client is not None:
                await self._discard(self._client)

    @property
    def heard_at(self) -> float:
        """When the last frame came, by `now`; 0 when none has come yet."""
        answered = self._client.last_ping_pong_time if self._client else None
        return max(self._last_message, answered or 0.0)

    def problem(self) -> str:
        """Say why the connection is of no use; empty while it is."""
        client, now = self._client, self._now()
        if client is None:
            return "it was never open"
        moving = client.connect_operation_lock.locked()  # Slack asked for that; the age of the last ping bounds it
        if not moving and (client.current_session is None or client.current_session.closed):
            return "it was closed"
        if any(task is None or task.done() for task in (client.message_receiver, client.message_processor)):
            return "it no longer reads"
        if now - (client.last_ping_pong_time or now) >= UNANSWERED_PINGS * self._patience.ping_interval:
            return "no ping is answered"
        if now - self._last_message >= self._patience.silence:
            return "no message has come for long"
        return ""

    async def _next_problem(self) -> str:
        while not (problem := self.problem()):  # noqa: ASYNC110 - the client tells nobody of what it has become
            await asyncio.sleep(self._patience.look)
        return problem

    async def _replace(self) -> None:
        """Connect a new client, as often as that takes, before the old one is closed."""
        pause = self._patience.first_pause
        while (fresh := await self._connect()) is None:
            await asyncio.sleep(pause)
            pause = min(2 * pause, self._patience.longest_pause)
        old, self._client = self._client, fresh
        self._last_message = self._now()
        self.connected.set()
        log.info("%s is open", self._name)
        if old is not None:
            await self._discard(old)

    async def _connect(self) -> SocketModeClient | None:
        """Return a connected client; None, with a line in the log, when that does not work."""
        client, connected = self._make(), False
        client.on_message_listeners.append(self._note_message)
        # The SDK's ways to reconnect are those that wedge.
        client.auto_reconnect_enabled = client.default_auto_reconnect_enabled = False
        try:
            async with asyncio.timeout(self._patience.connect):
                # Asked for here, because `connect` would go on for ever after a refusal.
                opened = await client.web_client.apps_connections_open(app_token=client.app_token)
                client.wss_uri = opened["url"]
                await client.connect()  # type: ignore[no-untyped-call]
                connected = True
        except (SlackClientError, aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            log.warning("%s cannot be opened: %s", self._name, _reason(error))
        finally:
            if not connected:
                await self._discard(client)
        return client if connected else None

    async def _note_message(self, _: object) -> None:
        self._last_message = self._now()

    async def _discard(self, client: SocketModeClient) -> None:
        """Close a client for good; one that is dead does not answer, which is not waited for."""
        client.closed = True
        with suppress(OSError, aiohttp.ClientError):
            async with asyncio.timeout(self._patience.close):
                await client.disconnect()  # type: ignore[no-untyped-call]
        await client.close()  # type: ignore[no-untyped-call]


class Sockets:
    """The connections of one app, over any of which Slack may deliver anything."""

    def __init__(
        self, make: MakeClient, count: int, patience: Patience = Patience(), now: Callable[[], float] = time.time
    ) -> None:
        self._now = now
        self._patience = patience
        self._sockets = [WatchedSocket(f"connection {n} to Slack", make, patience, now) for n in range(1, count + 1)]

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold all connections while the block runs, which begins as soon as one is open.

        Raises:
            TimeoutError: none was open within `Patience.connect`.

        """
        tasks = [asyncio.create_task(socket.run()) for socket in self._sockets]
        try:
            await self._wait_for_one()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def working(self) -> int:
        """How many connections are open and have no problem."""
        return sum(not socket.problem() for socket in self._sockets)

    def health(self) -> Health:
        """Say how many connections work, and when something was last heard."""
        working, heard_at = self.working, max(socket.heard_at for socket in self._sockets)
        heard = f", last heard from {max(self._now() - heard_at, 0):.0f} s ago" if heard_at else ""
        return Health(working > 0, f"{working} of {len(self._sockets)} connections open{heard}")

    async def _wait_for_one(self) -> None:
        waits = [asyncio.create_task(socket.connected.wait()) for socket in self._sockets]
        try:
            done, _ = await asyncio.wait(waits, timeout=self._patience.connect, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not done:
            raise TimeoutError


def _reason(error: Exception) -> str:
    return error_code(error) if isinstance(error, SlackApiError) else f"{type(error).__name__} {error}".strip()
