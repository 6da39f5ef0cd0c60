"""Limits on how much is asked: what is counted, who is refused, and what they are told.

Everything is counted in the inbox, so that a restart forgets nothing. A refused question is stored as a refusal: it
does not count against its asker, and a second delivery of it is not answered either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeGuard

from sqlmodel import Session

from bot.slack.jobs import Job, Question, Refusal, wish_of
from bot.slack.outbox import Outbox
from bot.slack.requests import Command
from storage import inbox
from storage.people import person_id
from storage.settings import SlackSettings

QUESTIONS = (Question.kind, Command.kind)
"""Kinds of which those events that ask something are stored with who sent them."""
MINUTE = timedelta(minutes=1)
WAITING_HOLDS = timedelta(seconds=10)
"""For so long a person who has too many questions waiting is not told of it again."""
WAITS_AT_MOST = timedelta(hours=1)
"""A question that came earlier does not count as waiting any more, whatever became of it."""


@dataclass(frozen=True)
class Load:
    """What was asked: when, in the last minute and the oldest first, by a person and in a channel; how many wait."""

    of_person: Sequence[datetime] = ()
    in_channel: Sequence[datetime] = ()
    waiting: int = 0


@dataclass(frozen=True)
class Excess:
    """Which limit a question is over, and until when the limit holds."""

    sentence: str
    until: datetime


def excess(load: Load, limits: SlackSettings, now: datetime) -> Excess | None:
    """Return what speaks against one question more; None when nothing does. A limit of 0 is none."""
    person, channel = limits.questions_per_person_per_minute, limits.questions_per_channel_per_minute
    waiting = limits.waiting_questions_per_person
    if person and len(load.of_person) >= person:
        return _too_often(f"You asked {person} questions within a minute", load.of_person[-person] + MINUTE, now)
    if channel and len(load.in_channel) >= channel:
        return _too_often(
            f"{channel} questions were asked in this channel within a minute", load.in_channel[-channel] + MINUTE, now
        )
    if waiting and load.waiting >= waiting:
        return Excess(
            f"{waiting} of your questions still wait for their answers, so I leave this one unanswered. Ask it again "
            "when one of them is answered.",
            now + WAITING_HOLDS,
        )
    return None


def asks(job: Job) -> TypeGuard[Question | Command]:
    """Whether a job is a question, in a message or behind the slash command."""
    if isinstance(job, Command):
        wish = wish_of(job)
        return wish.command in {"ask", "compare"} and bool(wish.rest)
    return isinstance(job, Question)


def admit(
    session: Session, question: Question | Command, limits: SlackSettings, now: datetime
) -> Question | Command | Refusal:
    """Return the question, or the refusal that takes its place; while a limit holds, its person is told of it once.

    Whoever wrote a command is told each time: nobody else sees it.
    """
    person = person_id(question.team, question.user)
    over = excess(_load(session, question, person, limits, now), limits, now)
    if over is None:
        return question
    if isinstance(question, Command):
        return replace(question, refused=over.sentence)
    told = inbox.latest_of(session, Refusal.kind, person)
    knows = told is not None and float(told.payload["until"]) > now.timestamp()
    return Refusal(
        team=question.team,
        channel=question.channel,
        user=question.user,
        ts=question.ts,
        thread_ts=question.thread_ts,
        sentence="" if knows else over.sentence,
        until=over.until.timestamp(),
    )


class OverloadDesk:
    """Tells people that a question of theirs is left unanswered."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def tell(self, job: Refusal) -> None:
        """Tell the person, and nobody else: in the thread where there is one, else in the channel."""
        thread_ts = None if job.thread_ts == job.ts else job.thread_ts
        if job.sentence:
            await self._outbox.whisper(f"{job.key}/refusal", job.channel, job.user, job.sentence, thread_ts)


def place_of(question: Question) -> str:
    """Return the channel's name in counts."""
    return f"{question.team}/{question.channel}"


def _too_often(what: str, until: datetime, now: datetime) -> Excess:
    seconds = max(1, math.ceil((until - now).total_seconds()))
    again = f"{seconds} second{'' if seconds == 1 else 's'}"
    return Excess(f"{what}, so I leave this one, and others until then, unanswered. Ask again in {again}.", until)


def _load(session: Session, question: Question | Command, person: str, limits: SlackSettings, now: datetime) -> Load:
    """Count what there are limits for; what is asked by command is no question of the channel in which it is typed."""
    lately, place = now - MINUTE, place_of(question) if isinstance(question, Question) else None
    of_person, in_channel, waiting = (
        limits.questions_per_person_per_minute,
        limits.questions_per_channel_per_minute,
        limits.waiting_questions_per_person,
    )
    return Load(
        of_person=inbox.times_received(session, QUESTIONS, lately, person=person) if of_person else (),
        in_channel=inbox.times_received(session, QUESTIONS, lately, place=place) if in_channel and place else (),
        waiting=inbox.count_unfinished(session, QUESTIONS, person, now - WAITS_AT_MOST) if waiting else 0,
    )
