"""A question asked with `/apprentice ask`: answered for the asker's eyes only, and kept as private."""

import asyncio
import hashlib

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.answering import NO_ANSWER, Answering, Plan
from bot.slack.jobs import Question
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.requests import Command
from bot.slack.usage import usage_of
from bot.slack.whisper import Notice, confide
from learning.engine import Completion, Sampling
from learning.prompts import prompt_digest
from storage.interactions import Interaction, keep_interaction

ANSWER_LIMIT = 9_000
"""Characters of an answer that fit, with the question and the buttons, into the blocks of one message."""
FALLBACK_LIMIT = 1_000
QUESTION_LIMIT = 500


class PrivateAnswers:
    """Answers privately. The interaction's id follows from the job, so that one that was answered is not again."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, answering: Answering) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._answering = answering

    async def answer(self, job: Command, text: str, asker: str) -> None:
        """Answer a question; after a crash between keeping the answer and showing it, the kept one is shown."""
        interaction_id = "qa_" + hashlib.sha256(job.key.encode()).hexdigest()[:16]
        # A thread of its own: in the prompt there must not be what others asked in private in the same channel.
        question = Question(job.team, job.channel, job.user, text, ts="", thread_ts=interaction_id, direct=True)
        plan = await asyncio.to_thread(self._answering.plan, question, asker)
        kept = await asyncio.to_thread(self._find, interaction_id)
        if kept is None:
            completion = None if plan.choice.answer else await asyncio.to_thread(generate, self._parts, plan)
            kept = private_interaction(self._parts, interaction_id, question, asker, plan, completion)
            await asyncio.to_thread(self._store, kept)
        fallback = blocks.escape(blocks.clip(kept.answer, FALLBACK_LIMIT))
        notice = Notice(fallback, private_answer(kept, plan.credit))
        channel = await confide(self._client, self._outbox, f"{job.key}/answer", job.channel, job.user, notice)
        if channel != kept.channel:  # where a correction of it is acknowledged
            kept.channel = channel
            await asyncio.to_thread(self._store, kept)

    def _find(self, interaction_id: str) -> Interaction | None:
        with self._parts.database.read() as session:
            return session.get(Interaction, interaction_id)

    def _store(self, interaction: Interaction) -> None:
        with self._parts.database.transaction() as session:
            keep_interaction(session, interaction)


def generate(parts: SlackParts, plan: Plan) -> Completion:
    """Let the chosen adapter answer as planned; blocks."""
    rules = parts.settings.inference
    sampling = Sampling(max_new_tokens=rules.max_new_tokens, temperature=rules.temperature)
    return parts.engine.generate(plan.messages, adapter=plan.chosen.digest, sampling=sampling)


def private_interaction(
    parts: SlackParts, interaction_id: str, question: Question, asker: str, plan: Plan, completion: Completion | None
) -> Interaction:
    """Make what is kept of an answer that only its asker sees; without a completion, no model gave it."""
    return Interaction(
        id=interaction_id,
        workspace_id=question.team,
        channel=question.channel,
        thread_ts="",
        question_ts="",
        answer_ts="",
        asker_id=asker,
        question=question.text,
        answer=plan.choice.answer or (completion and completion.text) or NO_ANSWER,
        adapter_digest=completion.adapter if completion else None,
        base_digest=parts.base.digest,
        prompt_digest=prompt_digest(plan.messages),
        private=True,
        usage=usage_of(completion) if completion else {},
        source=plan.source,
        created_at=parts.clock(),
    )


def private_answer(interaction: Interaction, credit: str) -> blocks.Blocks:
    """Give a private answer as blocks: the question, the answer as the model's markdown, and the buttons."""
    return [
        blocks.context(f"You asked: {blocks.escape(blocks.clip(interaction.question, QUESTION_LIMIT))}"),
        {"type": "markdown", "text": blocks.clip(interaction.answer, ANSWER_LIMIT)},
        *blocks.answer_actions(interaction.id, credit),
    ]
