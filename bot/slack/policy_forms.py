"""The buttons of a proposed policy and the forms that ask why it is rejected or withdrawn."""

from collections.abc import Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack import blocks, names
from bot.slack.clients import Clients
from bot.slack.intake import store_explained, store_job
from bot.slack.modals import View, open_modal
from bot.slack.parts import SlackParts
from bot.slack.policy_blocks import policy_rejection_modal, policy_withdrawal_modal
from bot.slack.policy_jobs import policy_approval_of, policy_rejection_of, policy_withdrawal_of
from storage.people import person_id

Body = dict[str, Any]


def register(app: AsyncApp, parts: SlackParts, clients: Clients) -> None:
    """Add the listeners to the app."""
    listeners = _Listeners(parts, clients)
    app.action(names.APPROVE_POLICY_ACTION)(listeners.on_approval)
    app.action(names.REJECT_POLICY_ACTION)(listeners.ask_why)
    app.view(names.POLICY_REJECTION_VIEW)(listeners.on_rejection)
    app.action(names.WITHDRAW_POLICY_ACTION)(listeners.ask_why_withdrawn)
    app.view(names.POLICY_WITHDRAWAL_VIEW)(listeners.on_withdrawal)


class _Listeners:
    def __init__(self, parts: SlackParts, clients: Clients) -> None:
        self._parts = parts
        self._clients = clients

    async def on_approval(self, ack: AsyncAck, body: Body) -> None:
        await store_job(self._parts, policy_approval_of(body))
        await ack()

    async def ask_why(self, ack: AsyncAck, body: Body) -> None:
        await ack()
        may = self._parts.governance.policies.may_decide
        await open_modal(self._clients, body, lambda: _view(body, may, "decide", policy_rejection_modal))

    async def ask_why_withdrawn(self, ack: AsyncAck, body: Body) -> None:
        await ack()
        may = self._parts.governance.policies.may_withdraw
        await open_modal(self._clients, body, lambda: _view(body, may, "withdraw", policy_withdrawal_modal))

    async def on_rejection(self, ack: AsyncAck, body: Body) -> None:
        await store_explained(self._parts, ack, policy_rejection_of(body), "reject a policy")

    async def on_withdrawal(self, ack: AsyncAck, body: Body) -> None:
        await store_explained(self._parts, ack, policy_withdrawal_of(body), "withdraw a policy")


def _view(body: Body, may: Callable[[str, str], str], what: str, make: Callable[[str, str, str], View]) -> View:
    """Make the form; whoever may not do this is told so instead."""
    version_id, person = body["actions"][0]["value"], person_id(body["team"]["id"], body["user"]["id"])
    if objection := may(version_id, person):
        return blocks.notice_modal(f"You cannot {what} this", blocks.escape(objection))
    return make(version_id, body["channel"]["id"], body["message"]["ts"])
