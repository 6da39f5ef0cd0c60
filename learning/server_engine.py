"""Answers by servers: the embedded engine places a question (learning/placement.py), a server writes the answer.

An adapter's scope and reading rest on states of the base model, which servers do not give away. So the embedded engine
has the same base model and the same adapters; it also checks their files before any server reads them.
"""

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path

from learning.chat_protocol import Answer, Chunk, ModelMissingError, RefusedError, ServerError
from learning.engine import SERVING, Completion, Engine, EngineError, Piece, Sampling, Serving
from learning.fleet import Fleet
from learning.model_server import ModelServer
from learning.placement import Placement
from learning.prompts import ChatMessage

log = logging.getLogger(__name__)

LOOK_EVERY_S = 10.0
"""Between two looks at what the servers have."""


class ServersAwayError(EngineError, ConnectionError):
    """No server began to answer. That passes, so whoever asked may wait and ask again."""


class ServerEngine:
    """An `AnsweringEngine` on servers. Adapters are those that the embedded engine holds in memory, on each server.

    `artifact_folder` is where the servers see the folder that holds the adapters' folders, if they see it elsewhere.
    """

    def __init__(self, embedded: Engine, fleet: Fleet, artifact_folder: Path | None = None) -> None:
        self.fleet = fleet
        self._embedded = embedded
        self._artifact_folder = artifact_folder
        self._folders: dict[str, Path] = {}
        self._running: Counter[str] = Counter()
        self._changing = threading.Lock()
        self._counting = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="servers", daemon=True)

    def start(self) -> None:
        """Look at the servers, and do so again and again until `close`. Servers that are away are no error."""
        self.look()
        self._thread.start()

    def close(self) -> None:
        """Stop looking at the servers; they keep their adapters."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """See what the servers have, and make it what it should be; blocks."""
        with self._changing:
            for digest in [each for each in self._folders if not self._is_needed(each)]:
                del self._folders[digest]
            self.fleet.look(self._folders)

    @property
    def serving(self) -> str | None:
        """The digest of the adapter that new requests get by default; None for the base model."""
        return self._embedded.serving

    def serve(self, digest: str | None) -> None:
        """Let new requests use this loaded adapter (None: the base model); running ones end on what they began with.

        Raises:
            EngineError: it is not loaded.

        """
        self._check_loaded(digest)
        self._embedded.serve(digest)

    def is_loaded(self, digest: str) -> bool:
        """Whether requests can name an adapter; a server that has lost it meanwhile is given it again."""
        return digest in self._folders and self._embedded.is_loaded(digest)

    def load_adapter(self, digest: str, folder: Path) -> None:
        """Check an adapter in the embedded engine, and let the servers load it; blocks.

        A server that is away gets it when it is back.

        Raises:
            AdapterError: the files are not this adapter's, or do not fit; no server was told of it.
            EngineError: it has no room in the memory for adapters, or no server takes it.

        """
        with self._changing:
            self._embedded.load_adapter(digest, folder)
            there = folder.resolve() if self._artifact_folder is None else self._artifact_folder / folder.name
            self.fleet.load(digest, there)
            self._folders[digest] = there

    def unload_adapter(self, digest: str) -> None:
        """Let go of an adapter that neither serves nor runs; blocks.

        Raises:
            EngineError: it is in use.

        """
        with self._changing:
            if self._running[digest]:
                raise EngineError(f"adapter {digest} is answering; unload it when its last answer is complete.")
            self._embedded.unload_adapter(digest)
            self._folders.pop(digest, None)
            self.fleet.unload(digest)

    async def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        adapter: str | Serving | None = SERVING,
        sampling: Sampling | None = None,
    ) -> AsyncGenerator[Piece, None]:
        """Yield the answer as it is made; leaving the iterator early ends it at the server too.

        A server that fails before it has said anything is replaced by another one.

        Raises:
            EngineError: the adapter is not loaded, no server answers, or the one that does broke off.

        """
        made = time.monotonic()
        placement = await asyncio.to_thread(self._embedded.place, messages, adapter)
        with self._claimed(placement.adapter):
            self._check_loaded(placement.adapter)
            async with aclosing(self._from_any(placement, sampling or Sampling(), made)) as pieces:
                async for piece in pieces:
                    yield piece

    def generate(
        self,
        messages: Sequence[ChatMessage],
        *,
        adapter: str | Serving | None = SERVING,
        sampling: Sampling | None = None,
    ) -> Completion:
        """Return the whole answer; blocks. Not for a thread in which an event loop runs.

        Raises:
            EngineError: as `stream`.

        """

        async def last() -> Completion | None:
            async with aclosing(self.stream(messages, adapter=adapter, sampling=sampling)) as pieces:
                return [piece async for piece in pieces][-1].completion

        completion = asyncio.run(last())
        assert completion is not None
        return completion

    async def _from_any(self, placement: Placement, sampling: Sampling, made: float) -> AsyncGenerator[Piece, None]:
        """Yield the answer of the first server that begins one."""
        problems = []
        for server in self.fleet.in_turn(placement.routed):
            shown = False
            try:
                async with aclosing(self._from_one(server, placement, sampling, made)) as pieces:
                    async for piece in pieces:
                        shown = True
                        yield piece
            except RefusedError:
                raise
            except ServerError as error:
                server.note_trouble(error)
                if shown:
                    raise
                log.warning("a server did not begin an answer: %s", error)
                problems.append(str(error))
            else:
                return
        raise ServersAwayError(f"no server answers: {'; '.join(problems) or 'none takes adapters'}.")

    async def _from_one(
        self, server: ModelServer, placement: Placement, sampling: Sampling, made: float
    ) -> AsyncGenerator[Piece, None]:
        answer = Answer(placement, made)
        async with aclosing(self._chunks(server, placement, sampling)) as chunks:
            async for chunk in chunks:
                piece = answer.take(chunk)
                if piece is not None:
                    yield piece
        yield Piece("", answer.complete())

    async def _chunks(
        self, server: ModelServer, placement: Placement, sampling: Sampling
    ) -> AsyncGenerator[Chunk, None]:
        """Yield what a server sends; one that has lost the adapter, by a restart for example, is given it once."""
        if server.state is None:
            await asyncio.to_thread(server.look)
        adapter, given = placement.routed, False
        while True:
            try:
                async with aclosing(server.answer(adapter, placement.messages, sampling)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except ModelMissingError:
                if adapter is None or given:
                    raise
                given = True
                log.info("%s has lost adapter %s and is given it again", server.url, adapter)
                await asyncio.to_thread(self.fleet.give, server, adapter, self._folders[adapter])
            else:
                return

    def _check_loaded(self, digest: str | None) -> None:
        if digest is not None and digest not in self._folders:
            raise EngineError(f"adapter {digest} is not loaded.")

    def _is_needed(self, digest: str) -> bool:
        return self._running[digest] > 0 or self._embedded.is_loaded(digest)

    @contextmanager
    def _claimed(self, digest: str | None) -> Iterator[None]:
        """Keep an adapter on the servers for as long as the block runs."""
        if digest is None:
            yield
            return
        with self._counting:
            self._running[digest] += 1
        try:
            yield
        finally:
            with self._counting:
                self._running[digest] -= 1

    def _keep_looking(self) -> None:
        while not self._closing.wait(LOOK_EVERY_S):
            try:
                self.look()
            except Exception:
                log.exception("looking at the servers failed; trying again in %.0f s", LOOK_EVERY_S)
