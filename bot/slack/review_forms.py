"""The buttons and forms of a review. What must answer at once is here: opening a modal, checking a typed reason."""

from collections.abc import Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack import blocks, jobs, names
from bot.slack.clients import Clients
from bot.slack.intake import store_explained, store_job
from bot.slack.modals import View, fill_modal, open_modal
from bot.slack.parts import SlackParts
from bot.slack.review_blocks import decline_modal, review_modal
from governance.review import read_case
from storage.people import person_id

Body = dict[str, Any]


def register(app: AsyncApp, parts: SlackParts, clients: Clients) -> None:
    """Add the listeners to the app."""
    listeners = _Listeners(parts, clients)
    app.action(names.OPEN_REVIEW_ACTION)(listeners.open)
    app.action(names.ACCEPT_CORRECTION_ACTION)(listeners.on_acceptance)
    app.action(names.DECLINE_CORRECTION_ACTION)(listeners.ask_why)
    app.view(names.DECLINE_VIEW)(listeners.on_declination)


class _Listeners:
    def __init__(self, parts: SlackParts, clients: Clients) -> None:
        self._parts = parts
        self._clients = clients

    async def open(self, ack: AsyncAck, body: Body) -> None:
        """Show all of a correction to whoever may review it, which is asked each time it is opened."""
        await ack()
        await open_modal(self._clients, body, lambda: self._unless_refused(body, self._review_modal))

    async def on_acceptance(self, ack: AsyncAck, body: Body) -> None:
        await store_job(self._parts, jobs.acceptance_of(body))
        await ack()
        if "view" in body:
            taken = blocks.notice_modal("Accepted", "Taken in; the message in the channel says so in a moment.")
            await fill_modal(self._clients, body, lambda: taken)

    async def ask_why(self, ack: AsyncAck, body: Body) -> None:
        await ack()
        if "view" in body:
            await fill_modal(self._clients, body, lambda: self._unless_refused(body, decline_modal))
        else:
            await open_modal(self._clients, body, lambda: self._unless_refused(body, decline_modal))

    async def on_declination(self, ack: AsyncAck, body: Body) -> None:
        await store_explained(self._parts, ack, jobs.declination_of(body), "decline a correction")

    def _unless_refused(self, body: Body, make: Callable[[str, str, str], View]) -> View:
        """Make the view for feedback, channel and message; whoever may not review it is told so instead."""
        feedback_id, person = body["actions"][0]["value"], person_id(body["team"]["id"], body["user"]["id"])
        if objection := self._parts.governance.may_review(feedback_id, person):
            return blocks.notice_modal("You cannot review this", blocks.escape(objection))
        return make(feedback_id, *jobs.place_of(body))

    def _review_modal(self, feedback_id: str, channel: str, message_ts: str) -> View:
        with self._parts.database.read() as session:
            case = read_case(session, feedback_id)
        return review_modal(case, channel, message_ts)
