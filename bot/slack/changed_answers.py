"""All answers that a proposed adapter changes, in a modal with pages: the proposal's message holds only the first."""

import json
from collections.abc import Sequence
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.slack import blocks, names
from bot.slack.clients import Clients
from bot.slack.modals import fill_modal, open_modal
from bot.slack.parts import SlackParts
from learning.evaluation import Change, read_report
from storage.proposals import get_proposal

PAGE_CHANGES = 10
PAGE_BLOCKS = 90
"""Slack takes 100 in a view; the rest is for what stands above and below."""
PAGE_CHARACTERS = 100_000
"""Of a page's blocks as JSON; Slack takes 250,000 for a view."""
Body = dict[str, Any]


def register(app: AsyncApp, parts: SlackParts, clients: Clients) -> None:
    """Add the listeners to the app."""
    listeners = _Listeners(parts, clients)
    app.action(names.CHANGES_ACTION)(listeners.open)
    app.action(names.EARLIER_CHANGES_ACTION)(listeners.turn)
    app.action(names.LATER_CHANGES_ACTION)(listeners.turn)


class _Listeners:
    """Whoever sees the message may read all of it, so nobody is asked who they are."""

    def __init__(self, parts: SlackParts, clients: Clients) -> None:
        self._parts = parts
        self._clients = clients

    async def open(self, ack: AsyncAck, body: Body) -> None:
        await ack()
        proposal_id = body["actions"][0]["value"]
        await open_modal(self._clients, body, lambda: self._view(proposal_id, 0))

    async def turn(self, ack: AsyncAck, body: Body) -> None:
        await ack()
        proposal_id = json.loads(body["view"]["private_metadata"])["proposal_id"]
        page = int(body["actions"][0]["value"])
        await fill_modal(self._clients, body, lambda: self._view(proposal_id, page))

    def _view(self, proposal_id: str, page: int) -> dict[str, Any]:
        with self._parts.database.read() as session:
            proposal = get_proposal(session, proposal_id)
        report = read_report(self._parts.store.verify(proposal.report_digest))
        return changes_view(proposal_id, report.changes, page)


def changes_view(proposal_id: str, changes: Sequence[Change], page: int) -> dict[str, Any]:
    """Give the modal that shows one page, counted from 0; what was there and is no more gives the last."""
    pages = pages_of(changes)
    page = min(page, len(pages) - 1)
    buttons = []
    if page > 0:
        buttons.append(blocks.button(names.EARLIER_CHANGES_ACTION, "Previous page", str(page - 1)))
    if page + 1 < len(pages):
        buttons.append(blocks.button(names.LATER_CHANGES_ACTION, "Next page", str(page + 1)))
    return {
        "type": "modal",
        "private_metadata": json.dumps({"proposal_id": proposal_id}),
        "title": blocks.plain("Answers that change"),
        "close": blocks.plain("Close"),
        "blocks": [
            blocks.section(f"{blocks.count_changes(changes)}. Page {page + 1} of {len(pages)}."),
            *pages[page],
            *([{"type": "actions", "elements": buttons}] if buttons else []),
        ],
    }


def pages_of(changes: Sequence[Change]) -> list[blocks.Blocks]:
    """Lay out the answers, those that become wrong first; at least one page."""
    pages: list[list[blocks.Blocks]] = [[]]
    for change in map(_laid_out, blocks.lost_first(changes)):
        if pages[-1] and not _fits([*pages[-1], change]):
            pages.append([])
        pages[-1].append(change)
    return [[block for change in page for block in change] for page in pages]


def _fits(page: Sequence[blocks.Blocks]) -> bool:
    size = sum(len(json.dumps(change)) for change in page)
    return len(page) <= PAGE_CHANGES and sum(map(len, page)) <= PAGE_BLOCKS and size <= PAGE_CHARACTERS


def _laid_out(change: Change) -> blocks.Blocks:
    mark, kind = blocks.VERDICTS[change.verdict], blocks.KINDS[change.kind]
    return [
        {"type": "divider"},
        *blocks.in_full(f"{mark} *Question* ({kind})", change.question),
        *(blocks.in_full("*Expected*", change.expected) if change.expected else []),
        *blocks.in_full("*Before*", change.before),
        *blocks.in_full("*After*", change.after),
    ]
