"""Feedback that is taken back: by the button beside what was recorded, or by taking a thumb off an answer."""

import asyncio

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import recorded
from bot.slack.blocks import escape
from bot.slack.directory import Directory
from bot.slack.feedback import tell
from bot.slack.feedback_jobs import Reaction, Withdrawal
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.whisper import Notice
from learning.taught import adapter_taught
from storage.errors import ApprenticeError
from storage.feedback import Feedback, standing_votes
from storage.interactions import find_by_answer


class WithdrawalDesk:
    """Takes back what a person said, and tells that person what becomes of it."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def withdraw(self, job: Withdrawal) -> None:
        """Take back what the button stands for; pressed again, it changes nothing."""
        person = await self._directory.person(job.team, job.user)
        await tell(self._client, self._outbox, job, await asyncio.to_thread(self._withdraw, job.feedback_id, person))

    async def take_off(self, job: Reaction) -> None:
        """Take back the vote that a reaction was, unless the person has voted in another way since."""
        person = await self._directory.person(job.team, job.user)
        vote = await asyncio.to_thread(self._vote_of, job, person)
        if vote is not None:
            await tell(self._client, self._outbox, job, await asyncio.to_thread(self._withdraw, vote.id, person))

    def _vote_of(self, job: Reaction, person: str) -> Feedback | None:
        with self._parts.database.read() as session:
            about = find_by_answer(session, job.team, job.channel, job.message_ts)
            votes = standing_votes(session, about.id, person) if about else []
        if not votes or (votes[-1].source, votes[-1].kind) != ("reaction", job.verdict):
            return None
        return votes[-1]

    def _withdraw(self, feedback_id: str, person: str) -> Notice:
        """Take it back through governance; the sentence that refuses it is told instead."""
        try:
            taken_back = self._parts.governance.withdraw_feedback(feedback_id, person)
        except ApprenticeError as error:
            return recorded.said(escape(str(error)))
        adapter = adapter_taught(self._parts.database, self._parts.store, {each.id for each in taken_back})
        return recorded.taken_back(taken_back[-1], adapter, voted_since=self._voted_since(taken_back[-1]))

    def _voted_since(self, feedback: Feedback) -> bool:
        if feedback.kind == "correction" or feedback.interaction_id is None:
            return False
        with self._parts.database.read() as session:
            return bool(standing_votes(session, feedback.interaction_id, feedback.person_id))
