"""Limits on how much is asked: what is counted, who is refused, and what they are told.

Everything is counted in the inbox, so that a restart forgets nothing. A refused question is stored as a refusal: it
does not count against its asker, and a second delivery of it is not answered either.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.slack.jobs import Question, Refusal
from bot.slack.outbox import Outbox
from storage import inbox
from storage.people import person_id
from storage.settings import SlackSettings

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


def admit(session: Session, question: Question, limits: SlackSettings, now: datetime) -> Question | Refusal:
    """Return the question, or the refusal that takes its place; while a limit holds, its person is told of it once."""
    person = person_id(question.team, question.user)
    over = excess(_load(session, question, person, limits, now), limits, now)
    if over is None:
        return question
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


def _load(session: Session, question: Question, person: str, limits: SlackSettings, now: datetime) -> Load:
    """Count what there are limits for."""
    lately, kind = now - MINUTE, Question.kind
    of_person, in_channel, waiting = (
        limits.questions_per_person_per_minute,
        limits.questions_per_channel_per_minute,
        limits.waiting_questions_per_person,
    )
    return Load(
        of_person=inbox.times_received(session, kind, lately, person=person) if of_person else (),
        in_channel=inbox.times_received(session, kind, lately, place=place_of(question)) if in_channel else (),
        waiting=inbox.count_unfinished(session, kind, person, now - WAITS_AT_MOST) if waiting else 0,
    )
