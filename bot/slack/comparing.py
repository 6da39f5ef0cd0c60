"""A blind comparison: `/apprentice compare QUESTION` shows whoever asks two answers, and they say which is better.

What serves answers, and what may come after it. Which of them is A is a coin that is kept with the answers, so that a
crash changes nothing of it.
"""

import asyncio
import hashlib
from dataclasses import replace

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.serving import Chosen
from bot.slack import blocks, recorded
from bot.slack.answering import Answering, Plan
from bot.slack.asking import generate, private_answer, private_interaction
from bot.slack.comparison_blocks import Shown, comparison_notice, revealed
from bot.slack.directory import Directory
from bot.slack.feedback import tell
from bot.slack.feedback_jobs import Preference
from bot.slack.jobs import Question
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.requests import Command
from bot.slack.whisper import Notice, confide
from governance.comparing import Rivals, rivals
from governance.people import why_no_comparison
from storage.adapters import Adapter
from storage.comparisons import BlindComparison, answers_of
from storage.errors import ApprenticeError
from storage.interactions import Interaction, keep_interaction
from storage.people import get_person

CORRECTED = "An accepted correction answers this, whichever adapter serves, so there is nothing to compare."
NO_RIVAL = "Only the base model is here, so there is nothing to compare it with."
THE_SAME = "Both gave the same answer, so there is nothing to choose."


class ComparisonDesk:
    """Shows two answers, and records which of them is preferred."""

    def __init__(
        self,
        parts: SlackParts,
        client: AsyncWebClient,
        outbox: Outbox,
        directory: Directory,
        answering: Answering,
    ) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory
        self._answering = answering

    async def compare(self, job: Command, text: str, asker: str) -> None:
        """Answer a question twice; after a crash between keeping the answers and showing them, those are shown."""
        notice = await asyncio.to_thread(self._kept, comparison_id_of(job)) or await self._begin(job, text, asker)
        await confide(self._client, self._outbox, f"{job.key}/answers", job.channel, job.user, notice)

    async def choose(self, job: Preference) -> None:
        """Record what somebody prefers, and tell them whose the answers were; of several choices the first stands."""
        person = await self._directory.person(job.team, job.user)
        await tell(self._client, self._outbox, job, await asyncio.to_thread(self._choose, job, person))

    async def _begin(self, job: Command, text: str, asker: str) -> Notice:
        """Let both answer, and keep the answers; return what the person is shown."""
        # A thread of its own, as for a question that is asked privately.
        question = Question(job.team, job.channel, job.user, text, ts="", thread_ts=comparison_id_of(job), direct=True)
        plan = await asyncio.to_thread(self._answering.plan, question, asker)
        if plan.choice.answer is not None:
            return Notice(CORRECTED, [blocks.section(CORRECTED), _markdown(plan.choice.answer)])
        pair = await asyncio.to_thread(self._rivals, asker, plan)
        if isinstance(pair, str):
            return recorded.said(blocks.escape(pair))
        if pair.other is not None and (why := await self._parts.serving.have(pair.other)):
            return recorded.said(f"There is nothing to compare: {blocks.escape(why)}")
        return await self._answer(job, question, asker, plan, pair)

    async def _answer(self, job: Command, question: Question, asker: str, plan: Plan, pair: Rivals) -> Notice:
        digests = pair if serving_is_a(comparison_id_of(job)) else pair[::-1]
        plans = [replace(plan, chosen=Chosen(digest, "compared")) for digest in digests]
        in_private = await self._in_private(job.channel)
        given = await asyncio.gather(*(asyncio.to_thread(generate, self._parts, each) for each in plans))
        a, b = (
            private_interaction(self._parts, _id_of("qa", f"{job.key}/{place}"), question, asker, each, completion)
            for place, each, completion in zip("ab", plans, given, strict=True)
        )
        for each in (a, b):
            each.source = {**each.source, "in_private": in_private}
        if a.answer.strip() == b.answer.strip():
            await asyncio.to_thread(self._store, a)
            return Notice(THE_SAME, [blocks.section(THE_SAME), *private_answer(a, plan.credit)])
        comparison = BlindComparison(
            id=comparison_id_of(job),
            person_id=asker,
            a_id=a.id,
            b_id=b.id,
            a_adapter=digests[0],
            b_adapter=digests[1],
            created_at=self._parts.clock(),
        )
        await asyncio.to_thread(self._store, a, b, comparison=comparison)
        return comparison_notice(comparison.id, Shown(a, b))

    async def _in_private(self, channel: str) -> bool:
        """Whether what is said in this place is for some only; of one that the bot cannot see, it counts as such."""
        try:
            return await self._directory.is_private(channel)
        except SlackApiError:
            return True

    def _rivals(self, asker: str, plan: Plan) -> Rivals | str:
        """Return the two that are asked, or why this person is shown no two answers."""
        policy = self._parts.governance.policy
        domain = policy.domain_of(plan.domain)
        with self._parts.database.read() as session:
            refusal = why_no_comparison(policy, get_person(session, asker))
            return refusal or rivals(session, self._parts.serving.answers(domain), domain) or NO_RIVAL

    def _kept(self, comparison_id: str) -> Notice | None:
        with self._parts.database.read() as session:
            kept = session.get(BlindComparison, comparison_id)
            return comparison_notice(kept.id, Shown(*answers_of(session, kept))) if kept else None

    def _choose(self, job: Preference, person: str) -> Notice:
        """Record it through governance; the sentence that refuses it is told instead."""
        try:
            comparison, counts = self._parts.governance.record_preference(job.comparison_id, person, job.preferred)
        except ApprenticeError as error:
            return recorded.said(blocks.escape(str(error)))
        if not counts:
            return recorded.said(recorded.TAKEN_BACK_ALREADY)
        with self._parts.database.read() as session:
            shown = Shown(*answers_of(session, comparison))
            a, b = (
                session.get(Adapter, digest) if digest else None
                for digest in (comparison.a_adapter, comparison.b_adapter)
            )
        return revealed(comparison, shown, (a, b), before=comparison.preferred != job.preferred)

    def _store(self, *answers: Interaction, comparison: BlindComparison | None = None) -> None:
        with self._parts.database.transaction() as session:
            for answer in answers:  # a try that died may have kept the one answer that both gave
                keep_interaction(session, answer)
            if comparison is not None:
                session.merge(comparison)


def comparison_id_of(job: Command) -> str:
    """Return the id of the comparison that a command asks for, the same at each try."""
    return _id_of("cmp", job.key)


def serving_is_a(comparison_id: str) -> bool:
    """Toss the coin: whether what serves is shown as A. Ids are digests of what nobody can choose, so it is fair."""
    return hashlib.sha256(comparison_id.encode()).digest()[0] % 2 == 0


def _id_of(prefix: str, key: str) -> str:
    return f"{prefix}_{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def _markdown(text: str) -> dict[str, str]:
    return {"type": "markdown", "text": text}
