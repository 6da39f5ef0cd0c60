"""Votes and corrections: recorded through governance, and the person told what was kept and what will come of it."""

import asyncio
from dataclasses import dataclass

from slack_sdk.web.async_client import AsyncWebClient
from sqlmodel import Session

from bot.slack import recorded
from bot.slack.blocks import escape
from bot.slack.directory import Directory
from bot.slack.feedback_jobs import Preference, Reaction, Reason, Withdrawal, reply_key
from bot.slack.jobs import Correction, Vote, feedback_id_of
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.whisper import Notice, replace_whisper
from governance.errors import NotEntitledError
from storage import inbox
from storage.domains import DEFAULT_DOMAIN
from storage.errors import InvalidFeedbackError, NotFoundError
from storage.feedback import Feedback, FeedbackKind, get_feedback, standing_votes
from storage.inbox import InboxEvent
from storage.interactions import Interaction, find_by_answer, get_interaction

Recordable = Vote | Reaction | Reason | Correction


@dataclass(frozen=True)
class _Said:
    """What somebody says of an answer; `source` is the way it came: `slack` (button or modal), `reaction` or `reply`.

    A vote that is given a reason keeps its source, so that a thumb that is taken off takes the reason with it.
    """

    about: Interaction
    kind: FeedbackKind
    source: str
    text: str = ""
    reason: str | None = None


class FeedbackDesk:
    """Records what people said of answers."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def record(self, job: Recordable, event: InboxEvent) -> None:
        """Keep a vote, what is wrong with an answer, or a correction; a later one of the same person supersedes it."""
        person = await self._directory.person(job.team, job.user)
        try:
            feedback = await asyncio.to_thread(self._record, job, person)
        except (NotFoundError, InvalidFeedbackError, NotEntitledError) as error:
            await tell(self._client, self._outbox, job, recorded.said(escape(str(error))))
        else:
            if feedback is not None:
                if isinstance(job, Correction) and feedback.masked:
                    await asyncio.to_thread(self._forget_original, job, event, feedback)
                notice = recorded.recorded(feedback, learned=self._learned(feedback))
                await tell(self._client, self._outbox, job, notice)

    def _record(self, job: Recordable, person: str) -> Feedback | None:
        """Store it, unless a process that died had done so before it could tell; None when it is about no answer."""
        feedback_id = feedback_id_of(job)
        with self._parts.database.read() as session:
            stored = session.get(Feedback, feedback_id)
            said = None if stored else _understand(session, job, person)
        return stored or (self._store(feedback_id, job.team, person, said) if said else None)

    def _learned(self, feedback: Feedback) -> bool:
        rules = self._parts.governance.policy.privacy
        return rules.learns(private=feedback.private, reviewed=feedback.reviewed_at is not None)

    def _forget_original(self, job: Correction, event: InboxEvent, feedback: Feedback) -> None:
        """Keep what was masked nowhere else: not in the job, nor in the reply that the correction was."""
        with self._parts.database.transaction() as session:
            inbox.note(session, event, text=feedback.text)
            reply = inbox.find_event(session, reply_key(job.team, job.channel, job.reply_ts)) if job.reply_ts else None
            if reply is not None:
                inbox.note(session, reply, text="")

    def _store(self, feedback_id: str, team: str, person: str, said: _Said) -> Feedback:
        return self._parts.governance.record_feedback(
            workspace_id=team,
            person_id=person,
            kind=said.kind,
            question=said.about.question,
            answer=said.about.answer,
            text=said.text,
            reason=said.reason,
            interaction_id=said.about.id,
            source=said.source,
            private=said.about.private,
            domain=str(said.about.source.get("domain", DEFAULT_DOMAIN)),
            feedback_id=feedback_id,
        )


async def tell(
    client: AsyncWebClient, outbox: Outbox, job: Recordable | Preference | Withdrawal, notice: Notice
) -> None:
    """Tell the person in the place of the whisper that was clicked on, or in a new one in the thread of the answer."""
    response_url = "" if isinstance(job, Vote | Reaction) else job.response_url
    if not response_url or not await replace_whisper(client, response_url, notice):
        key = f"{job.key}/reply"
        await outbox.whisper(key, job.channel, job.user, notice.text, job.thread_ts, blocks=notice.blocks)


def _understand(session: Session, job: Recordable, person: str) -> _Said | None:
    match job:
        case Vote():
            return _Said(get_interaction(session, job.interaction_id), job.verdict, "slack")
        case Reaction():
            about = find_by_answer(session, job.team, job.channel, job.message_ts)
            return _Said(about, job.verdict, "reaction") if about else None
        case Correction():
            source = "reply" if job.reply_ts else "slack"
            return _Said(get_interaction(session, job.interaction_id), "correction", source, text=job.text)
        case Reason():
            return _reason(session, job, person)


def _reason(session: Session, job: Reason, person: str) -> _Said:
    """Read a reason as the person's vote once more, which still has to be against the answer."""
    voted = get_feedback(session, job.feedback_id)
    about = get_interaction(session, voted.interaction_id or "")
    votes = standing_votes(session, about.id, person)
    if not votes or votes[-1].kind != "down":
        raise InvalidFeedbackError(recorded.VOTED_OTHERWISE)
    return _Said(about, "down", votes[-1].source, reason=job.reason)
