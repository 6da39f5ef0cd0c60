"""The story of a question: the thread so far, the model's answer streamed into it, and one stored interaction."""

import asyncio
import hashlib
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.serving import Chosen
from bot.slack import blocks, tasks
from bot.slack.directory import Directory
from bot.slack.jobs import Question
from bot.slack.markdown import as_typed
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.running import RunningAnswer, until
from bot.slack.shadowing import offer
from bot.slack.stream import AnswerStream, find_strays, remove_messages
from bot.slack.thinking import thinking
from bot.slack.usage import usage_of
from governance.channels import LANGUAGES
from learning.engine import EngineClosedError, EngineError, Piece, Sampling
from learning.examples import Choice, messages_with_examples
from learning.prompts import ChatMessage, Exchange, in_language, prompt_digest
from storage import inbox
from storage.channels import channel_settings
from storage.figures import APART
from storage.inbox import InboxEvent
from storage.interactions import Interaction, find_by_answer, find_by_question, keep_interaction, thread_history
from storage.people import names_of
from storage.pins import pin_for
from storage.shadows import AnswerFailure

HISTORY = 4
"""Earlier question-and-answer pairs of the thread that the model sees."""
HOW_TO_ASK = "Ask me a question, and I answer in this thread."
NO_ANSWER = "I have no answer to that."
STOPPED = "(stopped)"
"""Marks an answer that somebody stopped; the whole answer, when it had said nothing."""

CREDITS = {
    "accepted": "As corrected by {names}.",
    "quoted": "As corrected by {names}.",
    "examples": "After corrections by {names}.",
    "model": "",
}


@dataclass(frozen=True)
class Plan:
    """How a question will be answered; `credit` says to its readers whose corrections that rests on.

    `domain` is what the settings of the channel say its questions are about, `chosen` the adapter that answers where
    no accepted correction does.
    """

    choice: Choice
    messages: list[ChatMessage]
    credit: str
    domain: str
    chosen: Chosen

    @property
    def source(self) -> dict[str, Any]:
        """What is kept with the answer of what it rests on."""
        return {**self.choice.record(), "domain": self.domain, "side": self.chosen.side}


@dataclass(frozen=True)
class Given:
    """What was answered, and which adapter (None: the base model, or none) with what effort."""

    text: str
    adapter: str | None
    usage: dict[str, Any]

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped it before its end."""
        return self.usage.get("finish_reason") == "stopped"


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
        running = self._parts.running
        with running.begin(question.channel, question.thread_ts) as answer:
            async with thinking(self._client, question, running, answer, self._parts.pace):
                await self._answer(question, event, answer)

    async def _remove_strays(self, question: Question) -> None:
        """Take back what an earlier try began and died, or was cut off, before it knew what it had begun."""
        for ts in await find_strays(self._client, question):
            if not await asyncio.to_thread(self._is_an_answer, question, ts):
                await remove_messages(self._client, question.channel, [ts])

    async def _answer(self, question: Question, event: InboxEvent, answer: RunningAnswer) -> None:
        asker = await self._directory.person(question.team, question.user)
        private = question.direct or await self._directory.is_private(question.channel)
        plan = await asyncio.to_thread(self.plan, question, asker)

        async def remember(begun: list[str]) -> None:
            await asyncio.to_thread(self._note, event, begun)

        stream = AnswerStream(self._client, question, remember, answer, self._parts.pace)
        stream.tell(tasks.looked_up(plan.choice))
        interaction_id = _interaction_id(question)
        try:
            given = await self._give(plan, stream, answer)
            actions = blocks.answer_actions(interaction_id, plan.credit)
            answer_ts = await stream.stop(actions, f"\n\n{STOPPED}" if given.stopped else "")
            interaction = Interaction(
                id=interaction_id,
                workspace_id=question.team,
                channel=question.channel,
                thread_ts=question.thread_ts,
                question_ts=question.ts,
                answer_ts=answer_ts,
                asker_id=asker,
                question=question.text,
                answer=given.text,
                adapter_digest=given.adapter,
                base_digest=self._parts.base.digest,
                prompt_digest=prompt_digest(plan.messages),
                private=private,
                usage=given.usage,
                source=plan.source,
                created_at=self._parts.clock(),
            )
            await asyncio.to_thread(self._store, interaction)
        except Exception as error:
            if isinstance(error, EngineError) and not isinstance(error, EngineClosedError):
                await asyncio.to_thread(self._note_failure, f"{interaction_id}/{event.attempts}", plan, error)
            await stream.withdraw()  # the worker tries again, or says in one sentence that it failed
            raise
        if plan.choice.answer is None and not given.stopped:
            offer(self._parts, interaction, plan.messages, plan.domain)

    async def _give(self, plan: Plan, stream: AnswerStream, answer: RunningAnswer) -> Given:
        """Answer as planned: with an accepted correction, which no model made, or with the model."""
        if plan.choice.answer is None:
            return await self._generate(plan, stream, answer)
        answer.begun = True
        stream.tell(tasks.answered(tasks.CORRECTION))
        await stream.append(as_typed(plan.choice.answer))
        return Given(plan.choice.answer, None, {})

    async def _generate(self, plan: Plan, stream: AnswerStream, answer: RunningAnswer) -> Given:
        """Let the chosen adapter answer, each piece going to Slack as it comes, until it ends or is stopped."""
        rules, adapter, said = self._parts.settings.inference, plan.chosen.digest, ""
        sampling = Sampling(max_new_tokens=rules.max_new_tokens, temperature=rules.temperature)
        stream.tell(tasks.answering(tasks.source_of(adapter)))
        self._parts.running.line_up(answer)
        async with (
            aclosing(self._parts.engine.stream(plan.messages, adapter=adapter, sampling=sampling)) as pieces,
            aclosing(until(answer.stopped, pieces)) as heard,
        ):
            async for piece in heard:
                answer.begun = True
                said += piece.text
                if piece.completion is not None:
                    return await self._complete(piece, stream)
                await stream.append(piece.text)
        if not answer.stopped.is_set():
            raise EngineError("the engine ended an answer without completing it.")
        stream.tell(tasks.answered(tasks.source_of(adapter), stopped=True))
        return Given(said.strip() or STOPPED, adapter, {"finish_reason": "stopped"})

    async def _complete(self, piece: Piece, stream: AnswerStream) -> Given:
        """Take the last piece of an answer."""
        assert piece.completion is not None
        completion = piece.completion
        stream.tell(tasks.answered(tasks.source_of(completion.adapter, in_scope=completion.in_scope)))
        await stream.append(piece.text if completion.text else NO_ANSWER)
        return Given(completion.text or NO_ANSWER, completion.adapter, usage_of(completion))

    def _is_answered(self, question: Question) -> bool:
        with self._parts.database.read() as session:
            return find_by_question(session, question.team, question.channel, question.ts) is not None

    def _is_an_answer(self, question: Question, ts: str) -> bool:
        with self._parts.database.read() as session:
            return find_by_answer(session, question.team, question.channel, ts) is not None

    def plan(self, question: Question, asker: str) -> Plan:
        """Decide how a question is answered, by the accepted corrections and the thread so far; blocks."""
        policy = self._parts.governance.policy
        with self._parts.database.read() as session:
            channel = channel_settings(session, question.team, question.channel)
            domain = policy.domain_of(channel.domain)
            pin = pin_for(session, asker, pinned_place(question), self._parts.clock(), domain)
        chosen = self._parts.serving.for_person(asker, policy, domain, pin)
        alone_with = asker if question.direct else None
        choice = self._parts.examples.choose(
            question.text, question.team, alone_with, labels=policy.labels_of(domain), adapter=chosen.digest
        )
        authors = list(dict.fromkeys(person for known in choice.known for person in known.person_ids))
        with self._parts.database.read() as session:
            earlier = thread_history(session, question.team, question.channel, question.thread_ts, HISTORY)
            names = names_of(session, authors)
        history: list[Exchange] = [{"question": row.question, "answer": row.answer} for row in earlier if row.answer]
        system_prompt = in_language(self._parts.settings.model.system_prompt, LANGUAGES.get(channel.language, ""))
        messages = messages_with_examples(question.text, system_prompt, choice.known, history)
        credit = CREDITS[choice.how].format(names=" and ".join(names[author] for author in authors if author in names))
        return Plan(choice, messages, credit, channel.domain, chosen)

    def _note(self, event: InboxEvent, begun: list[str]) -> None:
        with self._parts.database.transaction() as session:
            inbox.note(session, event, begun=list(begun))

    def _note_failure(self, attempt: str, plan: Plan, error: EngineError) -> None:
        """Keep that the chosen adapter failed; it counts for or against it as its answers do."""
        if plan.chosen.side in APART:
            return
        with self._parts.database.transaction() as session:
            session.merge(
                AnswerFailure(
                    id=attempt,
                    adapter_digest=plan.chosen.digest,
                    domain=plan.domain,
                    error=str(error),
                    created_at=self._parts.clock(),
                )
            )

    def _store(self, interaction: Interaction) -> None:
        with self._parts.database.transaction() as session:
            keep_interaction(session, interaction)


def pinned_place(question: Question) -> str:
    """Return the channel whose pin counts for a question; "" for one that is asked in private, wherever that is."""
    return "" if question.direct else f"{question.team}/{question.channel}"


def _interaction_id(question: Question) -> str:
    """Return the same id at each try, so that a click on an answer that was taken back and given again counts."""
    return f"qa_{hashlib.sha256(question.key.encode()).hexdigest()[:16]}"
