"""Listeners for the buttons of whispers about feedback; like those of `bot.slack.app`, they only store what came."""

import asyncio
from dataclasses import replace
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks, names
from bot.slack.clients import Clients
from bot.slack.feedback_jobs import Reply, preference_of, reason_of, reply_key, withdrawal_of
from bot.slack.intake import store_job
from bot.slack.jobs import Correction, from_payload
from bot.slack.modals import open_modal
from bot.slack.parts import SlackParts
from bot.slack.recorded import REPLY_GONE, said
from bot.slack.replies import question_of
from bot.slack.whisper import remove_whisper, replace_whisper
from storage import inbox
from storage.errors import NotFoundError
from storage.interactions import get_interaction

Body = dict[str, Any]


class FeedbackListeners:
    """Undo, what is wrong with an answer, which of two is better, and how to go on with a reply like a correction."""

    def __init__(self, parts: SlackParts, clients: Clients) -> None:
        self._parts = parts
        self._clients = clients

    def register(self, app: AsyncApp) -> None:
        """Listen."""
        app.action(names.WITHDRAW_ACTION)(self.on_withdrawal)
        app.action(names.VOTE_REASON_ACTION)(self.on_reason)
        for action in names.PREFER_ACTIONS.values():
            app.action(action)(self.on_preference)
        app.action(names.TAKE_REPLY_ACTION)(self.on_reply_taken)
        app.action(names.EDIT_REPLY_ACTION)(self.open_reply)
        app.action(names.ASK_REPLY_ACTION)(self.on_reply_asked)

    async def on_withdrawal(self, ack: AsyncAck, body: Body) -> None:
        """Store that something is to be taken back."""
        await store_job(self._parts, withdrawal_of(body))
        await ack()

    async def on_reason(self, ack: AsyncAck, body: Body) -> None:
        """Store what is wrong with an answer."""
        await store_job(self._parts, reason_of(body))
        await ack()

    async def on_preference(self, ack: AsyncAck, body: Body) -> None:
        """Store which of two answers somebody prefers."""
        await store_job(self._parts, preference_of(body))
        await ack()

    async def on_reply_taken(self, ack: AsyncAck, body: Body) -> None:
        """Store the correction that a reply is."""
        if reply := await self._reply(body):
            await store_job(self._parts, correction_of_reply(reply, body))
        await ack()

    async def open_reply(self, ack: AsyncAck, body: Body) -> None:
        """Open the modal with the reply's text; what is sent from there is a correction like any other."""
        await ack()
        if reply := await self._reply(body):
            await open_modal(self._clients, body, lambda: self._modal(reply, body["response_url"]))

    async def on_reply_asked(self, ack: AsyncAck, body: Body) -> None:
        """Store the question that a reply is after all, and take the one about it away."""
        if reply := await self._reply(body):
            await store_job(self._parts, replace(question_of(reply), mentioned=True))
        await ack()
        if reply:
            await remove_whisper(await self._client(body), body["response_url"])

    async def _client(self, body: Body) -> AsyncWebClient:
        return await self._clients.of(body["team"]["id"])

    async def _reply(self, body: Body) -> Reply | None:
        """Return the reply, which is in the inbox since the person was asked; if it is gone, the person is told so."""
        reply = await asyncio.to_thread(self._find, body)
        if reply is None:
            await replace_whisper(await self._client(body), body["response_url"], said(REPLY_GONE))
        return reply

    def _find(self, body: Body) -> Reply | None:
        key = reply_key(body["team"]["id"], body["channel"]["id"], body["actions"][0]["value"])
        with self._parts.database.read() as session:
            event = inbox.find_event(session, key)
        reply = from_payload(event.kind, event.payload) if event and event.payload else None
        return reply if isinstance(reply, Reply) and reply.text else None  # else it was erased, or held what was masked

    def _modal(self, reply: Reply, response_url: str) -> dict[str, Any]:
        try:
            with self._parts.database.read() as session:
                about = get_interaction(session, reply.interaction_id)
        except NotFoundError as error:
            return blocks.notice_modal("The answer is gone", str(error))
        return blocks.correction_modal(about, text=reply.corrected, response_url=response_url)


def correction_of_reply(reply: Reply, body: Body) -> Correction:
    """Return the correction that a reply is, as a click has confirmed."""
    return Correction(
        team=reply.team,
        channel=reply.channel,
        user=reply.user,
        interaction_id=reply.interaction_id,
        text=reply.corrected,
        thread_ts=reply.thread_ts,
        view_id=body["actions"][0]["action_ts"],
        reply_ts=reply.ts,
        response_url=body["response_url"],
    )
