"""Replies that read like a correction of the answer before them: the person is asked what is meant."""

import asyncio
from dataclasses import asdict

from bot.slack import recorded
from bot.slack.blocks import SECTION_LIMIT, escape
from bot.slack.feedback_jobs import Reply
from bot.slack.intake import store_job
from bot.slack.jobs import Question
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from storage import inbox
from storage.errors import InvalidFeedbackError
from storage.feedback import check_correction
from storage.inbox import InboxEvent
from storage.interactions import Interaction, latest_answer


class ReplyDesk:
    """Asks; what the person says then are jobs of their own."""

    def __init__(self, parts: SlackParts, outbox: Outbox) -> None:
        self._parts = parts
        self._outbox = outbox

    async def ask(self, job: Reply, event: InboxEvent) -> None:
        """Ask whether a reply corrects the answer before it; where it cannot, it is a question like any other."""
        about = await asyncio.to_thread(self._answer_before, job)
        if about is None or not job.corrected:
            if job.mentioned or job.heard:
                await store_job(self._parts, question_of(job))
            return
        try:
            check_correction(job.corrected, SECTION_LIMIT)
        except InvalidFeedbackError as error:
            await self._outbox.whisper(f"{job.key}/reply", job.channel, job.user, escape(str(error)), job.thread_ts)
            return
        await asyncio.to_thread(self._note, event, about.id)
        notice = recorded.reply_question(about, job.corrected, job.ts)
        key = f"{job.key}/reply"
        await self._outbox.whisper(key, job.channel, job.user, notice.text, job.thread_ts, blocks=notice.blocks)

    def _answer_before(self, job: Reply) -> Interaction | None:
        with self._parts.database.read() as session:
            return latest_answer(session, job.team, job.channel, job.thread_ts, before=job.ts)

    def _note(self, event: InboxEvent, interaction_id: str) -> None:
        with self._parts.database.transaction() as session:
            inbox.note(session, event, interaction_id=interaction_id)


def question_of(reply: Reply) -> Question:
    """Return the question that a reply is after all."""
    said = {name: value for name, value in asdict(reply).items() if name not in {"heard", "interaction_id"}}
    return Question(**said, insisted=True)
