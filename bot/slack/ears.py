"""Which channels the bot listens to all of: kept in memory, because each message of each channel asks."""

import asyncio

from bot.slack.jobs import Hearing
from governance.policy import Policy
from storage.channels import channels_that_answer_all
from storage.database import Database


class Ears:
    """Reads which channels those are when that is first asked for, and again when somebody changed it."""

    def __init__(self) -> None:
        self._channels: frozenset[tuple[str, str]] | None = None
        self._reading = asyncio.Lock()

    async def hearing(self, database: Database, policy: Policy) -> Hearing:
        """Return what is heard besides mentions and direct messages."""
        async with self._reading:  # in the order in which events came
            if self._channels is None:
                self._channels = await asyncio.to_thread(_read, database)
            return Hearing(self._channels, bots=policy.people.bots == "answer")

    async def renew(self, database: Database) -> None:
        """Read again which channels those are; call after each change of a channel's settings."""
        async with self._reading:  # who reads later keeps what is later
            self._channels = await asyncio.to_thread(_read, database)


def _read(database: Database) -> frozenset[tuple[str, str]]:
    with database.read() as session:
        return frozenset(channels_that_answer_all(session))
