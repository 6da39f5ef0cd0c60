"""Which adapters are in memory: what they take, who needs them, and which one goes when another needs its room.

An adapter stays as long as it serves or a request of its own waits or runs (a claim). Of the others the least recently
used ones go first. Safe to use from any thread; the tensors themselves are the engine's.
"""

import threading
from collections import Counter, OrderedDict

from learning.hardware import MB, Hardware
from storage.errors import ApprenticeError

SHARE = 8
"""Adapters may take one part in so many of the device's memory, where the settings do not say how much."""
PATIENCE_S = 60.0
"""How long an adapter waits for room that running answers hold; they end by themselves."""


class EngineError(ApprenticeError):
    """The engine cannot do what was asked."""


class EngineClosedError(EngineError):
    """The engine has ended: no adapter's doing."""


def adapter_budget(hardware: Hardware, wanted_mb: int = 0) -> int:
    """Return how many bytes adapters may take: so many MB (2**20 bytes), or with 0 a share of the device's memory."""
    return wanted_mb * MB if wanted_mb else hardware.memory // SHARE


class Residency:
    """The adapters in memory, by digest, within a budget of bytes."""

    def __init__(self, budget: int, patience_s: float = PATIENCE_S) -> None:
        self._budget = budget
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._sizes: OrderedDict[str, int] = OrderedDict()  # the most recently used one last
        self._claims: Counter[str] = Counter()
        self._serving: str | None = None

    @property
    def serving(self) -> str | None:
        """The adapter of requests that name none; None for the base model."""
        return self._serving

    def serve(self, digest: str | None) -> None:
        """Let this adapter serve.

        Raises:
            EngineError: it is not loaded.

        """
        with self._changed:
            self._use(digest)
            self._serving = digest
            self._changed.notify_all()

    def use(self, digest: str | None) -> None:
        """Note that an adapter is used (None: the base model).

        Raises:
            EngineError: it is not loaded.

        """
        with self._changed:
            self._use(digest)

    def claim(self, digest: str | None) -> None:
        """Keep an adapter in memory until it is released as often as it was claimed.

        Raises:
            EngineError: it is not loaded.

        """
        with self._changed:
            self._claim(digest)

    def claim_serving(self) -> str | None:
        """Claim the adapter that serves now, and return it."""
        with self._changed:
            self._claim(self._serving)
            return self._serving

    def release(self, digest: str | None) -> None:
        """Take one claim back."""
        with self._changed:
            if digest is not None:
                self._claims[digest] -= 1
                self._changed.notify_all()

    def check_size(self, digest: str, size: int) -> None:
        """Check that an adapter of so many bytes fits at all, before it is read.

        Raises:
            EngineError: the budget is too small for it, or for it beside the one that serves.

        """
        with self._changed:
            self._check_size(digest, size)

    def make_room(self, digest: str, size: int) -> list[str]:
        """Take out what has to go for an adapter of `size` bytes, and return which those were, to be freed.

        Waits for running answers where only they are in the way. One adapter may be let in at a time.

        Raises:
            EngineError: the budget is too small for it, or for it beside the one that serves, or answers take too long.

        """
        with self._changed:
            self._check_size(digest, size)
            if not self._changed.wait_for(lambda: self._fits(size), self._patience_s):
                raise EngineError(
                    f"adapter {digest} needs {_mb(size)} of the {_mb(self._budget)} MB for adapters, and those in use "
                    "leave too little. Try again later, or raise inference.adapter_memory_mb."
                )
            evicted: list[str] = []
            while sum(self._sizes.values()) + size > self._budget:
                evicted.append(next(name for name in self._sizes if self._is_idle(name)))
                del self._sizes[evicted[-1]]
            return evicted

    def add(self, digest: str, size: int) -> None:
        """Note that an adapter for which room was made is in memory now."""
        with self._changed:
            self._sizes[digest] = size

    def remove(self, digest: str) -> bool:
        """Take an adapter out; return whether it was in.

        Raises:
            EngineError: it serves or is answering.

        """
        with self._changed:
            if digest == self._serving:
                raise EngineError(f"adapter {digest} serves; let another one serve first.")
            if self._claims[digest]:
                raise EngineError(f"adapter {digest} is answering; unload it when its last answer is complete.")
            self._changed.notify_all()
            return self._sizes.pop(digest, None) is not None

    def __contains__(self, digest: str) -> bool:
        with self._changed:
            return digest in self._sizes

    def _use(self, digest: str | None) -> None:
        if digest is not None:
            if digest not in self._sizes:
                raise EngineError(f"adapter {digest} is not loaded.")
            self._sizes.move_to_end(digest)

    def _claim(self, digest: str | None) -> None:
        self._use(digest)
        if digest is not None:
            self._claims[digest] += 1

    def _check_size(self, digest: str, size: int) -> None:
        serving = self._sizes[self._serving] if self._serving else 0
        if size + serving > self._budget:
            beside = f", and the one that serves takes {_mb(serving)} MB" if serving else ""
            raise EngineError(
                f"adapter {digest} needs {_mb(size)} MB, the budget for adapters is {_mb(self._budget)} MB{beside}. "
                "Raise inference.adapter_memory_mb."
            )

    def _fits(self, size: int) -> bool:
        needed = sum(taken for name, taken in self._sizes.items() if not self._is_idle(name))
        return needed + size <= self._budget

    def _is_idle(self, digest: str) -> bool:
        return digest != self._serving and not self._claims[digest]


def _mb(size: int) -> str:
    return f"{size / MB:.1f}"
