"""The message of a correction that waits for review: posted once, a few a minute, and drawn again when it was decided.

It is made from the database alone, so it says the same wherever a decision came from.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.intake import store_job
from bot.slack.jobs import ReviewNews
from bot.slack.parts import SlackParts
from bot.slack.posting import Said, Subject, keep_one, show_decidable
from bot.slack.review_blocks import review_message as draw
from governance.review import Case, read_case
from storage.feedback import WAITING
from storage.reviews import (
    ReviewMessage,
    begin_posting,
    note_review_shown,
    note_told,
    outdated_reviews,
    posted_since,
    review_message,
    unposted_reviews,
    untold_reviews,
)

AT_ONCE = 5
"""Corrections that are posted in a minute: a channel in which fifty appear at once is read by nobody."""
MINUTE = timedelta(minutes=1)
METADATA = "apprentice_review"
"""The type of the metadata by which a message that was posted, but not noted, is found again."""


@dataclass(frozen=True)
class DueReview:
    """A correction whose message is to be posted or drawn again; `more` counts those that have to wait after it."""

    feedback_id: str
    more: int = 0


def due_reviews(parts: SlackParts) -> list[DueReview]:
    """Return what is to be shown now: all that is outdated, and of what waits as many as a minute allows."""
    with parts.database.read() as session:
        outdated = outdated_reviews(session)
        allowed = AT_ONCE - posted_since(session, parts.clock() - MINUTE)
        oldest, waiting = unposted_reviews(session, max(allowed, 0))
    due = [DueReview(feedback_id) for feedback_id in [*outdated, *oldest]]
    if oldest:
        due[-1] = DueReview(oldest[-1], waiting - len(oldest))
    return due


async def show_review(client: AsyncWebClient, parts: SlackParts, due: DueReview) -> None:
    """Make Slack show a correction as it is: post it in the reviewers' channel, or bring its message up to date.

    Does nothing when the message says already what is so, or when it was decided before it was ever posted.

    Raises:
        ConfigurationError: the bot sees no channel of that name.

    """
    async with parts.drawing:  # two at once could leave the older drawing on top
        case, message = await asyncio.to_thread(_read, parts, due.feedback_id)
        await show_decidable(
            client,
            parts,
            message,
            (message.shown_state, None),
            partial(_begin, parts, due.feedback_id),
            (case.feedback.state, None),
            partial(draw, case, due.more),
            partial(_note, parts, due.feedback_id),
            waits=case.feedback.state in WAITING,
            channel_of="reviewers_channel",
        )


async def keep_one_review_message(
    client: AsyncWebClient, parts: SlackParts, feedback_id: str, channel: str, ts: str
) -> None:
    """Take note of a message whose button was pressed, or remove it when another one is noted."""
    async with parts.drawing:
        _, message = await asyncio.to_thread(_read, parts, feedback_id)
        await keep_one(client, message.message_ts, channel, ts, partial(_note, parts, feedback_id))


async def tell_authors(parts: SlackParts) -> None:
    """Have those told whose corrections were reviewed, wherever that was decided."""
    for job in await asyncio.to_thread(_untold, parts):
        await store_job(parts, job)
        await asyncio.to_thread(_note_told, parts, job)


def _read(parts: SlackParts, feedback_id: str) -> tuple[Case, ReviewMessage]:
    with parts.database.read() as session:
        return read_case(session, feedback_id), review_message(session, feedback_id)


def _begin(parts: SlackParts, feedback_id: str) -> Subject:
    with parts.database.transaction() as session:
        return Subject(METADATA, feedback_id, begin_posting(session, feedback_id, parts.clock()))


def _note(parts: SlackParts, feedback_id: str, channel: str, ts: str, said: Said) -> None:
    with parts.database.transaction() as session:
        note_review_shown(session, feedback_id, channel, ts, said[0])


def _untold(parts: SlackParts) -> list[ReviewNews]:
    with parts.database.read() as session:
        return [
            ReviewNews(row.workspace_id, row.id, row.reviewed_at.isoformat())
            for row in untold_reviews(session)
            if row.reviewed_at is not None
        ]


def _note_told(parts: SlackParts, job: ReviewNews) -> None:
    with parts.database.transaction() as session:
        note_told(session, job.feedback_id, datetime.fromisoformat(job.decided_at))
