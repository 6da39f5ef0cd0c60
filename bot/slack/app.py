"""The Bolt app. Its listeners only store what came and acknowledge it; `bot.slack.worker` does the work.

Nothing is acknowledged before it is stored, so a crash at any point makes Slack deliver again, and the inbox's unique
key makes the second delivery harmless. What must answer at once stays here: opening a modal, and the check of what
was typed into one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from typing import Any

from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_bolt.authorization.async_authorize import AsyncAuthorize

from bot.slack import blocks, changed_answers, jobs, names, policy_forms, requests, review_forms, rollback_forms
from bot.slack.channel_settings import open_settings
from bot.slack.clients import Clients
from bot.slack.feedback_listeners import FeedbackListeners
from bot.slack.glass_jobs import glass_answer_of
from bot.slack.installations import HomeAuthorize
from bot.slack.intake import store_explained, store_job
from bot.slack.modals import View, open_modal
from bot.slack.ours import has_to_be_placed, placed
from bot.slack.parts import SlackParts
from governance.channels import check_settings
from storage.errors import InvalidChannelSettingsError, InvalidFeedbackError, NotFoundError
from storage.feedback import check_correction
from storage.interactions import Interaction, find_by_answer, get_interaction
from storage.people import person_id

__all__ = ["SlackParts", "create_app"]

Body = dict[str, Any]


def create_app(parts: SlackParts, clients: Clients, authorize: AsyncAuthorize | None = None) -> AsyncApp:
    """Make the app with all its listeners; nothing is connected yet.

    `authorize` tells Bolt as whom it acts in a workspace; without it, as the one whose token the client has.
    """
    listeners = _Listeners(parts, clients)
    client = copy(clients.home)
    client.token = None  # with a token Bolt would authorize by itself
    app = AsyncApp(
        client=client,
        authorize=authorize or HomeAuthorize(clients.home.token),  # type: ignore[arg-type]  # it takes a class, too
        name="apprentice",
        request_verification_enabled=False,  # bot.slack.http does it, before it reads a whole body
        logger=logging.getLogger("bot.slack.bolt"),
        before_authorize=listeners.store_event,
    )
    app.action(names.VOTE_ACTION)(listeners.on_vote)
    app.action(names.CORRECT_ACTION)(listeners.open_correction)
    app.shortcut(names.CORRECT_SHORTCUT)(listeners.open_correction_of_message)
    app.view(names.CORRECTION_VIEW)(listeners.on_correction)
    app.action(names.APPROVE_ACTION)(listeners.on_approval)
    app.action(names.REJECT_ACTION)(listeners.open_rejection)
    app.view(names.REJECTION_VIEW)(listeners.on_rejection)
    app.action(names.GLASS_SEEN_ACTION)(listeners.on_glass_answer)
    app.action(names.GLASS_UNDO_ACTION)(listeners.on_glass_answer)
    app.action(names.CANCEL_ACTION)(listeners.on_cancellation)
    app.action(names.SETTINGS_ACTION)(listeners.open_settings)
    app.view(names.SETTINGS_VIEW)(listeners.on_settings)
    changed_answers.register(app, parts, clients)
    review_forms.register(app, parts, clients)
    policy_forms.register(app, parts, clients)
    rollback_forms.register(app, parts, clients)
    FeedbackListeners(parts, clients).register(app)
    app.command(names.COMMAND)(listeners.on_command)
    app.action(names.SEND_DATA_ACTION)(listeners.on_data_request)
    app.action(names.NEWS_ACTION)(listeners.on_news_choice)
    return app


class _Listeners:
    def __init__(self, parts: SlackParts, clients: Clients) -> None:
        self._parts = parts
        self._clients = clients

    async def store_event(self, body: Body, next_: Callable[[], Awaitable[None]]) -> BoltResponse | None:
        """Store what follows from an event, and acknowledge it by returning a response; nothing else is kept of events.

        A middleware, because Bolt acknowledges an event before it runs the event's listener
        (`AsyncioListenerRunner.run`, auto_acknowledgement), and keeps no reference to the listener's task; a middleware
        is awaited first. If the database refuses, its exception becomes a 500, which
        acknowledges in neither mode, so Slack delivers again.
        """
        if body.get("type") != "event_callback":
            await next_()
            return None
        hearing = await self._parts.ears.hearing(self._parts.database, self._parts.governance.policy)
        job = jobs.job_of_event(body, hearing)
        if job is not None and has_to_be_placed(job):  # no other job waits here: events keep their order
            job = await asyncio.to_thread(placed, self._parts.database, job)
        if job is not None:
            await store_job(self._parts, job)
        return BoltResponse(status=200)

    async def on_vote(self, ack: AsyncAck, body: Body) -> None:
        await store_job(self._parts, jobs.vote_of(body))
        await ack()

    async def open_correction(self, ack: AsyncAck, body: Body) -> None:
        await ack()
        interaction_id = body["actions"][0]["value"]
        await open_modal(self._clients, body, lambda: _correction_view(self._find(interaction_id)))

    async def open_correction_of_message(self, ack: AsyncAck, body: Body) -> None:
        await ack()
        await open_modal(self._clients, body, lambda: _correction_view(self._find_by_message(body)))

    async def on_correction(self, ack: AsyncAck, body: Body) -> None:
        job = jobs.correction_of(body)
        try:
            check_correction(job.text, blocks.SECTION_LIMIT)
        except InvalidFeedbackError as error:
            await ack(response_action="errors", errors={names.CORRECTION_BLOCK: str(error)})
            return
        await store_job(self._parts, job)
        await ack()

    async def on_approval(self, ack: AsyncAck, body: Body) -> None:
        await store_job(self._parts, jobs.approval_of(body))
        await ack()

    async def open_rejection(self, ack: AsyncAck, body: Body) -> None:
        await ack()
        await open_modal(self._clients, body, lambda: self._rejection_view(body))

    async def on_rejection(self, ack: AsyncAck, body: Body) -> None:
        await store_explained(self._parts, ack, jobs.rejection_of(body), "reject an adapter")

    async def on_glass_answer(self, ack: AsyncAck, body: Body) -> None:
        await store_job(self._parts, glass_answer_of(body))
        await ack()

    async def on_cancellation(self, ack: AsyncAck, body: Body) -> None:
        await store_job(self._parts, jobs.cancellation_of(body))
        await ack()

    async def on_command(self, ack: AsyncAck, body: Body) -> None:
        command = requests.command_of(body)
        if jobs.wish_of(command).command == "settings":  # a form opens at once or never
            await ack()
            await self._show_settings(body, command.team, command.channel, command.user)
            return
        await store_job(self._parts, command)
        await ack()

    async def on_data_request(self, ack: AsyncAck, body: Body) -> None:
        await store_job(self._parts, requests.data_request_of(body))
        await ack()

    async def on_news_choice(self, ack: AsyncAck, body: Body) -> None:
        await store_job(self._parts, requests.news_choice_of(body))
        await ack()

    async def open_settings(self, ack: AsyncAck, body: Body) -> None:
        await ack()
        await self._show_settings(body, body["team"]["id"], body["channel"]["id"], body["user"]["id"])

    async def _show_settings(self, body: Body, team: str, channel: str, user: str) -> None:
        client = await self._clients.of(team)
        await open_settings(self._parts, client, body["trigger_id"], team=team, channel=channel, user=user)

    async def on_settings(self, ack: AsyncAck, body: Body) -> None:
        job = jobs.settings_of(body)
        try:
            check_settings(job.settings)
        except InvalidChannelSettingsError as error:
            await ack(response_action="errors", errors={error.field: str(error)})
            return
        await store_job(self._parts, job)
        await ack()

    def _rejection_view(self, body: Body) -> View:
        proposal_id, person = body["actions"][0]["value"], person_id(body["team"]["id"], body["user"]["id"])
        if objection := self._parts.governance.may_decide(proposal_id, person):
            return blocks.notice_modal("You cannot decide this", blocks.escape(objection))
        return blocks.rejection_modal(proposal_id, body["channel"]["id"], body["message"]["ts"])

    def _find(self, interaction_id: str) -> Interaction | None:
        try:
            with self._parts.database.read() as session:
                return get_interaction(session, interaction_id)
        except NotFoundError:
            return None

    def _find_by_message(self, body: Mapping[str, Any]) -> Interaction | None:
        with self._parts.database.read() as session:
            return find_by_answer(session, body["team"]["id"], body["channel"]["id"], body["message"]["ts"])


def _correction_view(interaction: Interaction | None) -> View:
    if interaction is None:
        return blocks.notice_modal("Not an answer of mine", "I can only take corrections of answers that I gave.")
    return blocks.correction_modal(interaction)
