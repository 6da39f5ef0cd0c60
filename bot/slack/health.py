"""How well Slack reaches this process, as the status page shows it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Health:
    """Whether anything can come in, and one line about it."""

    good: bool
    text: str


class Link(Protocol):
    """A way in which Slack reaches the app."""

    def health(self) -> Health:
        """Say how it is at this moment."""
