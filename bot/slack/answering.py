"""The story of a question: the thread so far, the model's answer streamed into it, and one stored interaction."""

import asyncio
import hashlib
import logging
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.jobs import Question
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.stream import AnswerStream, find_strays, remove_messages
from learning.engine import Completion, EngineError, Sampling
from learning.examples import Choice, messages_with_examples
from learning.prompts import ChatMessage, Exchange, prompt_digest
from storage import inbox
from storage.inbox import InboxEvent
from storage.interactions import Interaction, find_by_answer, find_by_question, thread_history
from storage.people import names_of

log = logging.getLogger(__name__)

HISTORY = 4
"""Earlier question-and-answer pairs of the thread that the model sees."""
HOW_TO_ASK = "Ask me a question, and I answer in this thread."
NO_ANSWER = "I have no answer to that."


CREDITS = {
    "accepted": "As corrected by {names}.",
    "quoted": "As corrected by {names}.",
    "examples": "After corrections by {names}.",
    "model": "",
}


@dataclass(frozen=True)
class Plan:
    """How a question will be answered; `credit` says to its readers whose corrections that rests on."""

    choice: Choice
    messages: list[ChatMessage]
    credit: str


class Answering:
    """Answers questions."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def answer(self, question: Question, event: InboxEvent) -> None:
        """Answer a question, unless it was answered; what an earlier try had begun to write is taken back first."""
        if await asyncio.to_thread(self._is_answered, question):
            return
        if not question.text:
            await self._outbox.post(f"{question.key}/how-to-ask", question.channel, HOW_TO_ASK, question.thread_ts)
            return
        await remove_messages(self._client, question.channel, question.begun)
        if event.attempts > 1:
            await self._remove_strays(question)
        await self._show_status(question, "is thinking…")
        try:
            await self._answer(question, event)
        finally:
            await self._show_status(question, "")

    async def _remove_strays(self, question: Question) -> None:
        """Take back what an earlier try began and died, or was cut off, before it knew what it had begun."""
        for ts in await find_strays(self._client, question):
            if not await asyncio.to_thread(self._is_an_answer, question, ts):
                await remove_messages(self._client, question.channel, [ts])

    async def _answer(self, question: Question, event: InboxEvent) -> None:
        asker = await self._directory.person(question.team, question.user)
        private = question.direct or await self._directory.is_private(question.channel)
        plan = await asyncio.to_thread(self._plan, question, asker)

        async def remember(begun: list[str]) -> None:
            await asyncio.to_thread(self._note, event, begun)

        stream = AnswerStream(self._client, question, remember)
        interaction_id = _interaction_id(question)
        try:
            completion = await self._give(plan, stream)
            answer_ts = await stream.stop(blocks.answer_actions(interaction_id, plan.credit))
            interaction = Interaction(
                id=interaction_id,
                workspace_id=question.team,
                channel=question.channel,
                thread_ts=question.thread_ts,
                question_ts=question.ts,
                answer_ts=answer_ts,
                asker_id=asker,
                question=question.text,
                answer=plan.choice.answer or (completion and completion.text) or NO_ANSWER,
                adapter_digest=completion.adapter if completion else None,
                base_digest=self._parts.base.digest,
                prompt_digest=prompt_digest(plan.messages),
                private=private,
                usage=_usage(completion) if completion else {},
                source=plan.choice.record(),
                created_at=self._parts.clock(),
            )
            await asyncio.to_thread(self._store, interaction)
        except Exception:
            await stream.withdraw()  # the worker tries again, or says in one sentence that it failed
            raise

    async def _give(self, plan: Plan, stream: AnswerStream) -> Completion | None:
        """Answer as planned; None when the answer is an accepted correction, which no model made."""
        if plan.choice.answer is not None:
            await stream.append(plan.choice.answer)
            return None
        return await self._generate(plan.messages, stream)

    async def _generate(self, messages: list[ChatMessage], stream: AnswerStream) -> Completion:
        """Let the serving adapter answer, each piece going to Slack as it comes."""
        rules = self._parts.settings.inference
        sampling = Sampling(max_new_tokens=rules.max_new_tokens, temperature=rules.temperature)
        async with aclosing(self._parts.engine.stream(messages, sampling=sampling)) as pieces:
            async for piece in pieces:
                await stream.append(piece.text)
                if piece.completion is not None:
                    if not piece.completion.text:
                        await stream.append(NO_ANSWER)
                    return piece.completion
        raise EngineError("the engine ended an answer without completing it.")

    async def _show_status(self, question: Question, status: str) -> None:
        """Say what is going on under the composer; an answer is not lost because Slack does not show a status."""
        try:
            await self._client.assistant_threads_setStatus(
                channel_id=question.channel, thread_ts=question.thread_ts, status=status
            )
        except (SlackApiError, aiohttp.ClientError, TimeoutError) as error:
            log.info("the status of %s/%s is not shown: %s", question.channel, question.thread_ts, error)

    def _is_answered(self, question: Question) -> bool:
        with self._parts.database.read() as session:
            return find_by_question(session, question.team, question.channel, question.ts) is not None

    def _is_an_answer(self, question: Question, ts: str) -> bool:
        with self._parts.database.read() as session:
            return find_by_answer(session, question.team, question.channel, ts) is not None

    def _plan(self, question: Question, asker: str) -> Plan:
        choice = self._parts.examples.choose(question.text, question.team, asker if question.direct else None)
        authors = list(dict.fromkeys(person for known in choice.known for person in known.person_ids))
        with self._parts.database.read() as session:
            earlier = thread_history(session, question.team, question.channel, question.thread_ts, HISTORY)
            names = names_of(session, authors)
        history: list[Exchange] = [{"question": row.question, "answer": row.answer} for row in earlier]
        messages = messages_with_examples(
            question.text, self._parts.settings.model.system_prompt, choice.known, history
        )
        credit = CREDITS[choice.how].format(names=" and ".join(names[author] for author in authors if author in names))
        return Plan(choice, messages, credit)

    def _note(self, event: InboxEvent, begun: list[str]) -> None:
        with self._parts.database.transaction() as session:
            inbox.note(session, event, begun=list(begun))

    def _store(self, interaction: Interaction) -> None:
        with self._parts.database.transaction() as session:
            session.add(interaction)


def _interaction_id(question: Question) -> str:
    """Return the same id at each try, so that a click on an answer that was taken back and given again counts."""
    return f"qa_{hashlib.sha256(question.key.encode()).hexdigest()[:16]}"


def _usage(completion: Completion) -> dict[str, Any]:
    return {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": len(completion.token_ids),
        "logprobs": [round(value, 4) for value in completion.logprobs],
        "in_scope": completion.in_scope,
        "read_as": completion.read_as,
        "finish_reason": completion.finish_reason,
        "seconds": round(completion.seconds, 3),
        "seconds_to_first_token": round(completion.seconds_to_first_token, 3),
    }
