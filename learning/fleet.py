"""The servers that run the same base model: whose turn it is, and which adapters each of them should have."""

import itertools
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from learning.chat_protocol import ServerError
from learning.engine import EngineError
from learning.model_server import HOW_TO_LOAD, ModelServer

log = logging.getLogger(__name__)


class Fleet:
    """Servers take turns; those that are away come last, in case they are back."""

    def __init__(self, servers: Sequence[ModelServer]) -> None:
        self.servers = tuple(servers)
        self._turns: defaultdict[str | None, itertools.count[int]] = defaultdict(itertools.count)
        self._said: dict[tuple[str, str], str] = {}
        self._given: defaultdict[str, set[str]] = defaultdict(set)

    def in_turn(self, adapter: str | None) -> list[ModelServer]:
        """Return the servers to be asked for an answer of an adapter (None: the base model), one after the other."""
        able = [each for each in self.servers if adapter is None or each.state is None or each.state.loads_adapters]
        at = next(self._turns[adapter]) % max(1, len(able))
        return sorted([*able[at:], *able[:at]], key=lambda server: server.state is None)

    def look(self, wanted: Mapping[str, Path]) -> None:
        """Ask all servers what they have, and make up for what differs from the wanted adapters (name: folder); blocks.

        So a server that comes back without its adapters gets them again. Only what this object gave is taken away.
        """
        with ThreadPoolExecutor(len(self.servers)) as threads:
            list(threads.map(partial(self._tend, wanted), self.servers))

    def load(self, name: str, folder: Path) -> None:
        """Let all servers that answer load an adapter; blocks.

        Raises:
            EngineError: none did.

        """
        with ThreadPoolExecutor(len(self.servers)) as threads:
            problems = list(threads.map(partial(self._try_to_give, name, folder), self.servers))
        if all(problems):
            raise EngineError(f"adapter {name} cannot answer, as no server takes it: {'; '.join(problems)}.")

    def unload(self, name: str) -> None:
        """Let all servers that have an adapter forget it; blocks. Those that are away lose it when they are back."""
        for server in self.servers:
            if server.state is not None and name in server.state.adapters:
                self._take(server, name)

    def give(self, server: ModelServer, name: str, folder: Path) -> None:
        """Let one server load an adapter; blocks.

        Raises:
            ServerError: it did not.

        """
        server.load(name, folder)
        self._given[server.url].add(name)

    def _tend(self, wanted: Mapping[str, Path], server: ModelServer) -> None:
        try:
            state = server.look()
        except ServerError:
            self._say(server, "state", logging.WARNING, server.describe())
            return
        if not state.loads_adapters:
            self._say(server, "state", logging.WARNING, f"{server.describe()}. {HOW_TO_LOAD}.")
            return
        self._say(server, "state", logging.INFO, server.describe())
        for name in wanted.keys() - state.adapters:
            if problem := self._try_to_give(name, wanted[name], server):
                self._say(server, name, logging.WARNING, problem)
            else:
                log.info("%s was given adapter %s", server.url, name)
        for name in self._given[server.url] & state.adapters - wanted.keys():
            self._take(server, name)

    def _try_to_give(self, name: str, folder: Path, server: ModelServer) -> str:
        """Let a server load an adapter unless it has it; return why it did not, or ""."""
        try:
            state = server.look()
            if not state.loads_adapters:
                return f"{server.describe()} ({HOW_TO_LOAD})"
            if name not in state.adapters:
                self.give(server, name, folder)
        except ServerError as error:
            return str(error)
        return ""

    def _take(self, server: ModelServer, name: str) -> None:
        try:
            server.unload(name)
        except ServerError as error:
            self._say(server, name, logging.WARNING, str(error))
        else:
            self._given[server.url].discard(name)

    def _say(self, server: ModelServer, about: str, level: int, text: str) -> None:
        """Log what is new about a server, once."""
        if self._said.get((server.url, about)) != text:
            self._said[server.url, about] = text
            log.log(level, "%s", text)
