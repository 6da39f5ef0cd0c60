"""Whether a question is answered: who asks, and how the channel is set, decide that before anything is shown."""

import asyncio
from typing import Literal

from slack_sdk.web.async_client import AsyncWebClient
from sqlmodel import Session

from bot.slack.directory import Directory
from bot.slack.jobs import Question
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.settings_form import off_notice
from governance.people import is_answered
from storage.channels import channel_settings
from storage.interactions import count_answers_to, is_in_thread
from storage.people import Person, get_person

Verdict = Literal["answer", "ignore", "say_off"]


class Admission:
    """Lets questions in. Who is ignored is not told; who mentions the bot where it is off is."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def admits(self, question: Question) -> bool:
        """Return whether to answer; an answer that a process had begun is finished, whatever was changed meanwhile."""
        if question.begun:
            return True
        asker = await self._directory.person(question.team, question.user)
        verdict = await asyncio.to_thread(self._judge, question, asker)
        if verdict == "say_off":
            await self._say_off(question)
        return verdict == "answer"

    def _judge(self, question: Question, asker: str) -> Verdict:
        with self._parts.database.read() as session:
            person = get_person(session, asker)
            if not is_answered(self._parts.governance.policy.people, person) or self._goes_round(
                session, question, person
            ):
                return "ignore"
            if question.direct:
                return "answer"
            answers = channel_settings(session, question.team, question.channel).answers
            if answers == "off":
                return "say_off" if question.mentioned and person.standing != "bot" else "ignore"
            if question.mentioned or (answers == "all" and _is_for_all(session, question)):
                return "answer"
            return "ignore"

    def _goes_round(self, session: Session, question: Question, person: Person) -> bool:
        """Whether an app has got as many answers in this thread as the policy allows."""
        most = self._parts.governance.policy.people.answers_to_a_bot
        return (
            person.standing == "bot"
            and count_answers_to(session, person.id, question.channel, question.thread_ts) >= most
        )

    async def _say_off(self, question: Question) -> None:
        text, content = off_notice(self._parts.governance.policy.channels.settings_by)
        thread_ts = question.thread_ts if question.thread_ts != question.ts else None
        key = f"{question.key}/off"
        await self._outbox.whisper(key, question.channel, question.user, text, thread_ts, blocks=content)


def _is_for_all(session: Session, question: Question) -> bool:
    """Whether a message is none of a thread that people have among themselves."""
    return question.thread_ts == question.ts or is_in_thread(
        session, question.team, question.channel, question.thread_ts
    )
