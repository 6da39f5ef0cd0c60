"""Reviews in Slack: the decisions that people take on a correction, and its author, who is told of them."""

import asyncio
from datetime import datetime

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.directory import Directory
from bot.slack.jobs import Review, ReviewNews
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.posting import Subject, post_once
from bot.slack.review_blocks import decision_text
from bot.slack.reviews import DueReview, keep_one_review_message, show_review
from governance.review import Case, read_case
from storage.errors import ApprenticeError, IllegalStateError
from storage.people import get_person

STATES = {"accept": "accepted", "decline": "declined"}
METADATA = "apprentice_review_decision"


class ReviewDesk:
    """Takes the decisions on corrections, and tells their authors."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def decide(self, job: Review) -> None:
        """Decide through governance; who may not, or comes too late, is told so, and nobody else."""
        person = await self._directory.person(job.team, job.user)
        reply = await asyncio.to_thread(self._decide, job, person)
        await keep_one_review_message(self._client, self._parts, job.feedback_id, job.channel, job.message_ts)
        await show_review(self._client, self._parts, DueReview(job.feedback_id))
        if reply:
            await self._outbox.whisper(f"{job.key}/reply", job.channel, job.user, blocks.escape(reply))

    async def tell(self, job: ReviewNews) -> None:
        """Tell the author what was decided; who came by an import, or is in another workspace, cannot be told."""
        case, user = await asyncio.to_thread(self._read, job)
        team = (await self._client.auth_test())["team_id"]
        if case is None or not case.feedback.person_id.startswith(f"{team}/"):
            return
        channel = str((await self._client.conversations_open(users=user))["channel"]["id"])
        subject = Subject(METADATA, job.key, datetime.fromisoformat(job.decided_at))
        rules = self._parts.governance.policy.privacy
        learned = rules.learns(private=case.feedback.private, reviewed=True)
        content = [blocks.section(decision_text(case, learned=learned))]
        await post_once(self._client, channel, subject, f"Your correction was {case.feedback.state}.", content)

    def _decide(self, job: Review, person: str) -> str:
        """Return what only this person is told; empty when the message says it all."""
        try:
            self._parts.governance.review_feedback(job.feedback_id, person, job.verdict == "accept", job.reason)
        except IllegalStateError as error:
            with self._parts.database.read() as session:
                feedback = read_case(session, job.feedback_id).feedback
            done = (feedback.reviewed_by, feedback.state) == (person, STATES[job.verdict])
            return "" if done else str(error)  # done: by this very job, before its process died
        except ApprenticeError as error:
            return str(error)
        return ""

    def _read(self, job: ReviewNews) -> tuple[Case | None, str]:
        """Return what was decided (None: it was changed or taken back since), and the author's Slack user id."""
        with self._parts.database.read() as session:
            case = read_case(session, job.feedback_id)
            user = get_person(session, case.feedback.person_id).slack_user_id
        decided_at = case.feedback.reviewed_at
        stands = decided_at is not None and decided_at.isoformat() == job.decided_at
        return (case if stands and case.feedback.state in STATES.values() else None), user
