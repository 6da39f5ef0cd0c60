"""What answers people: the embedded engine (learning/engine.py), or servers beside it (learning/server_engine.py).

Whoever trains, evaluates or looks at a model's states needs the embedded engine itself.
"""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Protocol

from learning.engine import SERVING, Completion, Piece, Sampling, Serving
from learning.prompts import ChatMessage


class AnsweringEngine(Protocol):
    """Answers with the base model, or with adapters, which are named by their digests."""

    @property
    def serving(self) -> str | None:
        """The digest of the adapter that new requests get by default; None for the base model."""

    def serve(self, digest: str | None) -> None:
        """Let new requests use this loaded adapter (None: the base model).

        Raises:
            EngineError: it is not loaded.

        """

    def is_loaded(self, digest: str) -> bool:
        """Whether requests can name an adapter."""

    def load_adapter(self, digest: str, folder: Path) -> None:
        """Check an adapter and make it ready; blocks.

        Raises:
            AdapterError: the files are not this adapter's, or do not fit.
            EngineError: it cannot be taken in.

        """

    def unload_adapter(self, digest: str) -> None:
        """Let go of an adapter that neither serves nor runs; blocks.

        Raises:
            EngineError: it is in use.

        """

    def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        adapter: str | Serving | None = SERVING,
        sampling: Sampling | None = None,
    ) -> AsyncGenerator[Piece, None]:
        """Yield the answer as it is made; leaving the iterator early frees the request's place.

        Raises:
            EngineError: the adapter is not loaded, or the answer cannot be made.

        """

    def generate(
        self,
        messages: Sequence[ChatMessage],
        *,
        adapter: str | Serving | None = SERVING,
        sampling: Sampling | None = None,
    ) -> Completion:
        """Return the whole answer; blocks.

        Raises:
            EngineError: as `stream`.

        """

    def close(self) -> None:
        """Stop; requests that still run end with an error."""
