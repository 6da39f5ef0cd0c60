"""Makes Slack and the engine agree with the database, whoever changed it: this process or a command line beside it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.approvals import note_promotion
from bot.slack.breaking_glass import note_broken_glass
from bot.slack.parts import SlackParts
from bot.slack.policy_proposals import show_policy
from bot.slack.proposals import show_proposal
from bot.slack.reminding import remind
from bot.slack.reviews import due_reviews, show_review, tell_authors
from bot.slack.rolling_back import note_rollbacks
from bot.slack.stages import note_stages
from storage.adapter_days import keep_days
from storage.policies import undrawn_versions
from storage.proposals import proposal_for, undrawn_proposals

log = logging.getLogger(__name__)

PAUSE_S = 1.0
WATCH_S = 20.0
"""Between two looks at what people said of the newest adapter's answers, which read all of it."""
COUNT_S = 3_600.0
"""Between two counts of the latest days, which read all answers of a month."""
RETRY_S = 10.0
"""How long a step that failed is left alone, so that a Slack that is down or refuses is not asked every second."""


class Reconciler:
    """Looks every second at what has to be done. A step that fails holds up no other one."""

    def __init__(
        self, parts: SlackParts, client: AsyncWebClient, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._parts = parts
        self._client = client
        self._monotonic = monotonic
        self._noted: dict[str, str] = {}
        self._resting: dict[str, float] = {}
        self._watch_at = 0.0
        self._count_at = 0.0

    async def run(self) -> None:
        """Look and act until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(PAUSE_S)

    async def look(self) -> None:
        """Do once whatever has to be done."""
        await self._attempt("following the policy", self._follow_policy)
        await self._attempt("advancing a rollout", self._advance)
        await self._attempt("following the serving adapter", self._follow)
        await self._attempt("watching the newest adapter", self._watch)
        await self._attempt("looking for broken glass", partial(note_broken_glass, self._parts))
        await self._attempt("counting the days of adapters", self._count)
        await self._attempt("looking for rollbacks", partial(note_rollbacks, self._parts))
        await self._attempt("closing what has expired", self._close_expired)
        await self._attempt("reading the proposals", self._draw)
        await self._attempt("reading the proposed policies", self._draw_policies)
        await self._attempt("looking for reminders", self._remind)
        await self._attempt("reading the reviews", self._draw_reviews)
        await self._attempt("telling whose corrections were reviewed", partial(tell_authors, self._parts))

    async def _follow_policy(self) -> None:
        """Act by the policy in force, whoever approved it."""
        await asyncio.to_thread(self._parts.governance.policies.follow)

    async def _follow(self) -> None:
        """Serve what is to be served, and have a promotion announced that was decided on outside Slack."""
        await self._parts.serving.sync()
        await note_stages(self._parts)
        wanted = self._parts.serving.wanted
        if wanted != self._noted:
            for proposal_id in await asyncio.to_thread(self._promoted, set(wanted.values())):
                await note_promotion(self._parts, proposal_id)
            self._noted = wanted

    async def _advance(self) -> None:
        await asyncio.to_thread(self._parts.governance.advance_rollout)

    async def _watch(self) -> None:
        """Take out what people judge worse, if the policy says so, and what the approvers did not confirm in time."""
        if self._monotonic() >= self._watch_at:
            self._watch_at = self._monotonic() + WATCH_S
            await asyncio.to_thread(self._parts.governance.take_out_if_worse)
            await asyncio.to_thread(self._parts.governance.take_out_unconfirmed)

    async def _count(self) -> None:
        """Keep what adapters did on the latest days."""
        if self._monotonic() >= self._count_at:
            self._count_at = self._monotonic() + COUNT_S
            await asyncio.to_thread(self._keep_days)

    def _keep_days(self) -> None:
        with self._parts.database.transaction() as session:
            keep_days(session, self._parts.clock())

    async def _close_expired(self) -> None:
        await asyncio.to_thread(self._parts.governance.expire_proposals)
        await asyncio.to_thread(self._parts.governance.policies.close_stale)

    async def _draw(self) -> None:
        for proposal_id in await asyncio.to_thread(self._undrawn):
            show = partial(show_proposal, self._client, self._parts, proposal_id)
            await self._attempt(f"showing proposal {proposal_id}", show)

    async def _draw_policies(self) -> None:
        for version_id in await asyncio.to_thread(self._undrawn_policies):
            show = partial(show_policy, self._client, self._parts, version_id)
            await self._attempt(f"showing the policy {version_id}", show)

    async def _remind(self) -> None:
        rules = self._parts.governance
        of_adapters = await asyncio.to_thread(rules.due_reminders)
        for reminder in [*of_adapters, *await asyncio.to_thread(rules.policies.due_reminders)]:
            give = partial(remind, self._client, self._parts, reminder)
            await self._attempt(f"reminding of proposal {reminder.proposal_id}", give)

    async def _draw_reviews(self) -> None:
        for due in await asyncio.to_thread(due_reviews, self._parts):
            show = partial(show_review, self._client, self._parts, due)
            await self._attempt(f"showing the review of {due.feedback_id}", show)

    async def _attempt(self, what: str, step: Callable[[], Awaitable[None]]) -> None:
        now = self._monotonic()
        if now < self._resting.get(what, now):
            return
        try:
            await step()
        except Exception:
            log.exception("%s failed; trying again in %.0f s", what, RETRY_S)
            self._resting[what] = self._monotonic() + RETRY_S
        else:
            self._resting.pop(what, None)

    def _promoted(self, digests: set[str]) -> list[str]:
        with self._parts.database.read() as session:
            found = [proposal_for(session, digest) for digest in sorted(digests)]
        return [proposal.id for proposal in found if proposal is not None]

    def _undrawn_policies(self) -> list[str]:
        with self._parts.database.read() as session:
            return [version.id for version in undrawn_versions(session)]

    def _undrawn(self) -> list[str]:
        with self._parts.database.read() as session:
            return [proposal.id for proposal in undrawn_proposals(session)]
