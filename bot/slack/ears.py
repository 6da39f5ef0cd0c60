"""Which channels the bot listens to all of: kept in memory, because each message of each channel asks."""

import asyncio

from bot.slack.jobs import Hearing
from governance.policy import Policy
from storage.channels import channels_that_answer_all
from storage.database import Database


class Ears:
    """Reads what is heard when that is first asked for, and again when somebody changed it."""

    def __init__(self) -> None:
        self._hearing: Hearing | None = None
        self._reading = asyncio.Lock()

    async def hearing(self, database: Database, policy: Policy) -> Hearing:
        """Return what is heard besides mentions and direct messages."""
        async with self._reading:  # in the order in which events came
            if self._hearing is None:
                self._hearing = await self._read(database, policy)
            return self._hearing

    async def renew(self, database: Database, policy: Policy) -> None:
        """Read again what is heard; call after each change of a channel's settings."""
        async with self._reading:  # who reads later keeps what is later
            self._hearing = await self._read(database, policy)

    async def _read(self, database: Database, policy: Policy) -> Hearing:
        channels = await asyncio.to_thread(_read, database)
        return Hearing(frozenset(channels), bots=policy.people.bots == "answer")


def _read(database: Database) -> set[tuple[str, str]]:
    with database.read() as session:
        return channels_that_answer_all(session)
