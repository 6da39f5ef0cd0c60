"""Votes and corrections: recorded through governance, and the person told what was kept and what will come of it."""

import asyncio
import hashlib

from bot.slack.directory import Directory
from bot.slack.jobs import Correction, Vote
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from storage.errors import InvalidFeedbackError, NotFoundError
from storage.feedback import Feedback, FeedbackKind
from storage.interactions import Interaction, get_interaction

VOTES = {
    "up": "Recorded: a good answer. Thank you; it tells the next training what to keep.",
    "down": "Recorded: a bad answer. Press *Correct this* to write the right one, and I can learn it.",
}
CORRECTIONS = {
    "accepted": (
        "Recorded, thank you. Your correction counts from the next question on, and goes into the next training; what "
        "comes of that goes live only after it was tested and a person approved it."
    ),
    "pending_review": "Recorded, thank you. A reviewer looks at your correction before it is used.",
}
KEPT = "Recorded, thank you."


class FeedbackDesk:
    """Records what people said of answers."""

    def __init__(self, parts: SlackParts, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._outbox = outbox
        self._directory = directory

    async def record_vote(self, job: Vote) -> None:
        """Store a vote; a later one of the same person supersedes it."""
        await self._record(job, job.verdict)

    async def record_correction(self, job: Correction) -> None:
        """Store a correction."""
        await self._record(job, "correction", job.text)

    async def _record(self, job: Vote | Correction, kind: FeedbackKind, text: str = "") -> None:
        person = await self._directory.person(job.team, job.user)
        try:
            feedback = await asyncio.to_thread(self._store, job, person, kind, text)
            reply = VOTES.get(kind) or CORRECTIONS.get(feedback.state, KEPT)
        except (NotFoundError, InvalidFeedbackError) as error:
            reply = str(error)
        await self._outbox.whisper(f"{job.key}/reply", job.channel, job.user, reply, job.thread_ts)

    def _store(self, job: Vote | Correction, person: str, kind: FeedbackKind, text: str) -> Feedback:
        feedback_id = "fb_" + hashlib.sha256(job.key.encode()).hexdigest()[:16]
        with self._parts.database.read() as session:
            stored = session.get(Feedback, feedback_id)
            if stored is not None:  # a process died between storing it and saying so
                return stored
            about: Interaction = get_interaction(session, job.interaction_id)
        return self._parts.governance.record_feedback(
            workspace_id=job.team,
            person_id=person,
            kind=kind,
            question=about.question,
            answer=about.answer,
            text=text,
            interaction_id=about.id,
            source="slack",
            private=about.private,
            feedback_id=feedback_id,
        )
