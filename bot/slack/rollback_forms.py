"""The button that takes the adapter of a proposal out, and the form that asks why."""

import asyncio
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack import blocks, names
from bot.slack.bodies import clicked
from bot.slack.clients import Clients
from bot.slack.intake import store_explained
from bot.slack.modals import View, open_modal
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.proposals import where
from bot.slack.rollback_blocks import rollback_modal
from bot.slack.rollback_jobs import rollback_request_of
from governance.errors import NotEntitledError
from governance.promotion import answers_without, live_adapter
from storage.people import person_id
from storage.proposals import get_proposal

Body = dict[str, Any]


def register(app: AsyncApp, parts: SlackParts, clients: Clients) -> None:
    """Add the listeners to the app."""
    listeners = _Listeners(parts, clients)
    app.action(names.ROLL_BACK_ACTION)(listeners.ask_why)
    app.view(names.ROLLBACK_VIEW)(listeners.on_reason)


class _Listeners:
    def __init__(self, parts: SlackParts, clients: Clients) -> None:
        self._parts = parts
        self._clients = clients

    async def ask_why(self, ack: AsyncAck, body: Body) -> None:
        """Ask whoever may; whoever may not is told so by a message that nobody else sees."""
        await ack()
        if refusal := await asyncio.to_thread(self._refusal, body):
            click, action_ts = clicked(body), body["actions"][0]["action_ts"]
            key = f"rollback_refused/{click['team']}/{click['user']}/{action_ts}"
            await Outbox(self._parts, click["team"]).whisper(key, click["channel"], click["user"], refusal)
            return
        await open_modal(self._clients, body, lambda: self._view(body))

    async def on_reason(self, ack: AsyncAck, body: Body) -> None:
        await store_explained(self._parts, ack, rollback_request_of(body), "roll back")

    def _refusal(self, body: Body) -> str:
        try:
            self._parts.governance.check_role("roll_back", person_id(body["team"]["id"], body["user"]["id"]))
        except NotEntitledError as error:
            return blocks.escape(str(error))
        return ""

    def _view(self, body: Body) -> View:
        """Make the form.

        Raises:
            IllegalStateError: the adapter does not answer any more.

        """
        with self._parts.database.read() as session:
            proposal = get_proposal(session, body["actions"][0]["value"])
            adapter = live_adapter(session, proposal.adapter_digest)
            restored = answers_without(session, adapter)
        click = clicked(body)
        return rollback_modal(adapter, restored, where(adapter), proposal.id, click["channel"], click["message_ts"])
