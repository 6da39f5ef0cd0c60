"""What a person sees on opening the app: a home tab of their own, or suggested prompts among the messages."""

import asyncio
from datetime import timedelta

from slack_sdk.web.async_client import AsyncWebClient
from sqlmodel import Session

from bot.slack.directory import Directory
from bot.slack.home_view import SHOWN, Contributions, Page, Review, home_view
from bot.slack.jobs import Opened
from bot.slack.links import permalink
from bot.slack.overview import read_overview
from bot.slack.parts import SlackParts
from bot.slack.pinning import pinned_text
from bot.slack.prompts import suggested_prompts
from bot.slack.requests import NewsChoice
from storage.adapters import Adapter
from storage.feedback import (
    Feedback,
    corrected_questions,
    corrections_of,
    count_said,
    count_votes,
    waiting_corrections,
)
from storage.interactions import Interaction
from storage.people import choose_news, get_person
from storage.proposals import approved_since

VOTES_FROM = timedelta(days=30)
LEARNED_FROM = timedelta(days=7)
LOOKED_AT = 2_000
"""Of the corrections that a new adapter learned, so many are looked at for the few that are shown."""
REVIEWS_LOOKED_AT = 50


class Home:
    """Answers `app_home_opened`, and what is done on the home tab."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._directory = directory

    async def show(self, job: Opened) -> None:
        """Publish the home tab, or suggest prompts in the messages tab."""
        if job.tab == "home":
            await self._publish(job.team, job.user)
        else:
            prompts = await asyncio.to_thread(self._prompts, job.team)
            await self._client.assistant_threads_setSuggestedPrompts(
                channel_id=job.channel, title="Ask me something", prompts=prompts
            )

    def _prompts(self, team: str) -> list[dict[str, str]]:
        with self._parts.database.read() as session:
            return suggested_prompts(session, team, self._parts.clock())

    async def choose_news(self, job: NewsChoice) -> None:
        """Keep whether a person wants to be told of what went live, and show that it is kept."""
        person = await self._directory.person(job.team, job.user)
        await asyncio.to_thread(self._keep, person, wanted=job.wanted)
        await self._publish(job.team, job.user)

    async def _publish(self, team: str, user: str) -> None:
        person = await self._directory.person(team, user)
        page = await asyncio.to_thread(self._read, team, person)
        wanted = [(proposal.channel, proposal.message_ts) for proposal in page.decisions[:SHOWN]]
        wanted += [(review.channel, review.answer_ts) for review in page.reviews[:SHOWN]]
        links = {ts: await permalink(self._client, channel, ts) for channel, ts in wanted if ts}
        await self._client.views_publish(user_id=user, view=home_view(page, links))

    def _keep(self, person: str, *, wanted: bool) -> None:
        with self._parts.database.transaction() as session:
            choose_news(session, person, self._parts.clock(), wanted=wanted)

    def _read(self, team: str, person: str) -> Page:
        overview, since = read_overview(self._parts), self._parts.clock() - VOTES_FROM
        adapter, may_decide = overview.default.adapter, self._parts.governance.may_decide
        decisions = [proposal for proposal in overview.open if not may_decide(proposal.id, person)]
        pinned = pinned_text(self._parts, person, "")
        with self._parts.database.read() as session:
            return Page(
                overview=overview,
                votes=count_votes(session, team, since),
                adapter_votes=count_votes(session, team, since, adapter.digest) if adapter else None,
                learned=self._learned(session, team, person),
                decisions=decisions,
                reviews=self._reviews(session, team, person),
                mine=self._contributions(session, person, adapter),
                wants_news=get_person(session, person).no_news_since is None,
                pinned=pinned,
            )

    def _learned(self, session: Session, team: str, person: str) -> list[str]:
        """Return the questions of the corrections that went live lately, as far as this person may read them."""
        fresh: set[str] = set()
        for proposal in approved_since(session, self._parts.clock() - LEARNED_FROM):
            adapter = session.get(Adapter, proposal.adapter_digest)
            if adapter is not None and adapter.state in {"serving", "retired"}:
                fresh |= self._first_learned(session, adapter)
        return corrected_questions(session, sorted(fresh)[:LOOKED_AT], team, person)

    def _first_learned(self, session: Session, adapter: Adapter) -> frozenset[str]:
        """Return the ids of the feedback that the adapter learned, and the one that served before it did not know."""
        before = session.get(Adapter, adapter.parent_digest) if adapter.parent_digest else None
        known = self._parts.learned.ids(before.snapshot_digest if before else None)
        return self._parts.learned.ids(adapter.snapshot_digest) - known

    def _reviews(self, session: Session, team: str, person: str) -> list[Review]:
        """Return the corrections that wait for a review which this person may give."""
        waiting = waiting_corrections(session, team, person, REVIEWS_LOOKED_AT)
        return [_review(session, each) for each in waiting if not self._parts.governance.may_review(each.id, person)]

    def _contributions(self, session: Session, person: str, adapter: Adapter | None) -> Contributions:
        live = corrections_of(session, person) & self._parts.learned.ids(adapter.snapshot_digest if adapter else None)
        return Contributions(count_said(session, person), len(live))


def _review(session: Session, feedback: Feedback) -> Review:
    """Say what waits for review; what not everybody may read is not shown, nor where it was said."""
    if feedback.private or feedback.set_aside:
        return Review("", "", "")
    about = session.get(Interaction, feedback.interaction_id) if feedback.interaction_id else None
    return Review(feedback.question, about.channel if about else "", about.answer_ts if about else "")
