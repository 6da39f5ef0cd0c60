"""The way out: a message that is owed is written to the outbox, and `bot.slack.delivery` sends it from there.

Whoever owes a message gives it a key of which the same work makes the same, such as the job's key and a word; then
work that is done twice, because a process died, still owes it once. A key is remembered for a week after the message
was sent, which is longer than any job is tried.
"""

import asyncio
from typing import Any

from bot.slack.parts import SlackParts
from storage import outbox
from storage.outbox import OutboxCall

POST, WHISPER = "chat.postMessage", "chat.postEphemeral"


class Outbox:
    """Owes messages in one workspace (an empty `team`: the one that has the approvers)."""

    def __init__(self, parts: SlackParts, team: str) -> None:
        self._parts = parts
        self._team = team

    async def post(self, key: str, channel: str, text: str, thread_ts: str | None = None, **more: Any) -> None:
        """Owe a message that all of a channel see, and return once that is kept; `more` goes to chat.postMessage.

        A user's id as the channel stands for direct messages to that person; whether such a message was posted cannot
        be looked up.
        """
        await self._keep(self.posting(key, channel, text, thread_ts, **more))

    async def whisper(
        self, key: str, channel: str, user: str, text: str, thread_ts: str | None = None, **more: Any
    ) -> None:
        """Owe a message that only one person sees. Slack tells nobody whether it was shown, so it may come twice."""
        await self._keep(self.whispering(key, channel, user, text, thread_ts, **more))

    def posting(self, key: str, channel: str, text: str, thread_ts: str | None = None, **more: Any) -> OutboxCall:
        """Make what `post` keeps, for `storage.outbox.owe` in a transaction that stores more."""
        lane = f"{self._team}/{channel}/{thread_ts or ''}"
        return self._call(key, lane, POST, channel=channel, text=text, thread_ts=thread_ts or None, **more)

    def whispering(
        self, key: str, channel: str, user: str, text: str, thread_ts: str | None = None, **more: Any
    ) -> OutboxCall:
        """Make what `whisper` keeps."""
        lane = f"{self._team}/{channel}/{thread_ts or ''}/{user}"
        return self._call(
            key, lane, WHISPER, channel=channel, user=user, text=text, thread_ts=thread_ts or None, **more
        )

    async def owe(self, key: str, lane: str, method: str, **arguments: Any) -> None:
        """Owe a call of any other method of the Web API, one that is harmless when it is made twice."""
        await self._keep(self._call(key, lane, method, **arguments))

    def _call(self, key: str, lane: str, method: str, **arguments: Any) -> OutboxCall:
        given = {name: value for name, value in arguments.items() if value is not None}
        return OutboxCall(
            key=key, team=self._team, lane=lane, method=method, arguments=given, created_at=self._parts.clock()
        )

    async def _keep(self, call: OutboxCall) -> None:
        await asyncio.to_thread(self._store, call)
        self._parts.owed.set()

    def _store(self, call: OutboxCall) -> None:
        with self._parts.database.transaction() as session:
            outbox.owe(session, call)
