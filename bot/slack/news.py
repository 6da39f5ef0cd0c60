"""Tells a person that what they corrected is live, with the answer that is given now."""

import asyncio

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks
from bot.slack.jobs import News
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from learning.engine import EngineError, Sampling
from learning.prompts import build_messages
from storage.adapters import find_adapter
from storage.feedback import list_feedback
from storage.people import get_person
from storage.proposals import get_proposal, list_proposals
from storage.runs import get_run

SHOWN = 5
"""Questions in the message; each is asked again, which takes the engine a second or two."""


class NewsDesk:
    """Sends direct messages about adapters that went live."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox

    async def tell(self, job: News) -> None:
        """Ask again what the person corrected, and send them the answers; who came by an import is left out."""
        user, questions = await asyncio.to_thread(self._read, job)
        team = (await self._client.auth_test())["team_id"]
        if not questions or not job.person_id.startswith(f"{team}/"):
            return
        lines = [
            f"*{blocks.escape(question)}*\n> {blocks.escape(await self._ask(question))}"
            for question in questions[:SHOWN]
        ]
        if len(questions) > SHOWN:
            lines.append(f"and {len(questions) - SHOWN} more.")
        text = "What you corrected is live. This is what I answer now:"
        opened = await self._client.conversations_open(users=user)
        content = [blocks.section(text), *(blocks.section(line) for line in lines)]
        await self._outbox.post(f"{job.key}/message", opened["channel"]["id"], text, blocks=content)

    async def _ask(self, question: str) -> str:
        settings = self._parts.settings
        messages = build_messages(question, settings.model.system_prompt)
        sampling = Sampling(max_new_tokens=settings.inference.max_new_tokens)
        try:
            return (await asyncio.to_thread(self._parts.engine.generate, messages, sampling=sampling)).text
        except EngineError:
            return "(no answer just now; ask me)"

    def _read(self, job: News) -> tuple[str, list[str]]:
        """Return the person's Slack user id, and the questions whose correction this adapter was the first to learn.

        Of who does not want to be told, no question is returned.
        """
        with self._parts.database.read() as session:
            person = get_person(session, job.person_id)
            if person.no_news_since is not None:
                return person.slack_user_id, []
            proposal = get_proposal(session, job.proposal_id)
            digests = [proposal.adapter_digest]
            digests += [
                earlier.adapter_digest
                for earlier in list_proposals(session, "approved")
                if earlier.created_at < proposal.created_at
            ]
            runs = [find_adapter(session, digest).run_id for digest in digests[:2]]
            times = [get_run(session, run).created_at for run in runs if run]
            mine = [
                row.question
                for row in list_feedback(session, state="accepted", after=times[1] if len(times) > 1 else None)
                if row.person_id == job.person_id and row.kind == "correction" and row.created_at <= proposal.created_at
            ]
        return person.slack_user_id, list(dict.fromkeys(mine))
