"""A network between the bot and Slack that can be cut, or go dead without a word, one connection at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

PIECE = 64 * 1024


@dataclass(eq=False)
class Connection:
    """One TCP connection from the bot; while `alive` is not set nothing passes in either direction."""

    to_bot: asyncio.StreamWriter
    is_socket: bool
    alive: asyncio.Event = field(default_factory=asyncio.Event)

    def cut(self) -> None:
        """End it as a broken network does, without the farewell of a websocket."""
        self.to_bot.transport.abort()

    def freeze(self) -> None:
        """Let nothing through any more, without ending it."""
        self.alive.clear()


class Wire:
    """Passes on what the bot sends to Slack, and back."""

    def __init__(self, host: str, port: int) -> None:
        self._slack = (host, port)
        self._connections: list[Connection] = []
        self.url = ""

    @property
    def sockets(self) -> list[Connection]:
        """The open connections of Socket Mode, in the order in which they were made."""
        return [each for each in self._connections if each.is_socket]

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Wire"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        try:
            yield self
        finally:
            server.close()
            for connection in list(self._connections):
                connection.cut()

    async def _serve(self, from_bot: asyncio.StreamReader, to_bot: asyncio.StreamWriter) -> None:
        first = await from_bot.read(PIECE)
        from_slack, to_slack = await asyncio.open_connection(*self._slack)
        connection = Connection(to_bot, is_socket=first.startswith(b"GET /link/"))
        connection.alive.set()
        self._connections.append(connection)
        to_slack.write(first)
        ways = [
            asyncio.create_task(_pass_on(connection, from_bot, to_slack)),
            asyncio.create_task(_pass_on(connection, from_slack, to_bot)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.remove(connection)
            for way in ways:
                way.cancel()
            to_slack.close()
            to_bot.close()


async def _pass_on(connection: Connection, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await source.read(PIECE):
            await connection.alive.wait()
            target.write(piece)
            await target.drain()
