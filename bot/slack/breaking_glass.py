"""What Slack says when an adapter went live by break-glass: to one other person at once, and to the approvers."""

import asyncio
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks, names
from bot.slack.directory import Directory
from bot.slack.glass_jobs import GlassAnswer, GlassBroken
from bot.slack.intake import store_job
from bot.slack.outbox import Outbox
from bot.slack.parts import SlackParts
from bot.slack.posting import bring_up_to_date
from bot.slack.proposals import announce, where
from bot.slack.whisper import Notice, write_to
from storage import inbox
from storage.adapters import Adapter, find_adapter
from storage.break_glass import BreakGlass, get_break_glass, list_break_glass
from storage.errors import ApprenticeError
from storage.people import names_of
from storage.proposals import Proposal, get_proposal

STATES = {"confirmed": "The approvers confirmed it: the adapter stays.", "rolled_back": "The adapter was rolled back."}


class GlassDesk:
    """Tells of it, and does what is wished by the buttons of that message."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def tell(self, job: GlassBroken) -> None:
        """Write to whoever is to be told, and in the proposal's thread where the approvers see it."""
        glass, proposal, notice = await asyncio.to_thread(self._read, job.glass_id)
        user = glass.told.rpartition("/")[2]
        await write_to(self._client, self._outbox, f"{job.key}/message", user, notice)
        await announce(Outbox(self._parts, ""), f"{job.key}/announcement", proposal, notice.text)

    async def answer(self, job: GlassAnswer) -> None:
        """Do it through governance, and bring the message up to date; who may not is told so."""
        person = await self._directory.person(job.team, job.user)
        reply = await asyncio.to_thread(self._answer, job, person)
        await self._parts.serving.sync()
        _, _, notice = await asyncio.to_thread(self._read, job.glass_id)
        await bring_up_to_date(self._client, job.channel, job.message_ts, notice.text, notice.blocks)
        if reply:
            await self._outbox.post(f"{job.key}/reply", job.channel, blocks.escape(reply))

    def _answer(self, job: GlassAnswer, person: str) -> str:
        """Return what the message does not say: why it cannot be done."""
        rules = self._parts.governance
        try:
            if job.wish == "undo":
                rules.undo_break_glass(job.glass_id, person)
            else:
                rules.note_break_glass_seen(job.glass_id, person)
        except ApprenticeError as error:
            return str(error)
        return ""

    def _read(self, glass_id: str) -> tuple[BreakGlass, Proposal, Notice]:
        with self._parts.database.read() as session:
            glass = get_break_glass(session, glass_id)
            adapter = find_adapter(session, glass.adapter_digest)
            name = names_of(session, [glass.person_id]).get(glass.person_id, glass.person_id)
            return glass, get_proposal(session, glass.proposal_id), glass_notice(glass, adapter, name)


def glass_notice(glass: BreakGlass, adapter: Adapter, name: str) -> Notice:
    """Say who broke the glass, why, what the gates said and what follows; with the buttons while it is open."""
    gates = ", ".join(f"{gate['name']} {gate['verdict']}" for gate in adapter.gates)
    text = (
        f"*The glass was broken:* {blocks.escape(name)} took adapter `{adapter.digest[:12]}`{where(adapter)} live "
        f"without the approvals that the policy asks for. Why: {blocks.escape(glass.reason)}"
    )
    state = STATES.get(glass.state) or (
        f"Unless the approvers confirm it until {blocks.moment(glass.confirm_by)}, it is taken out again: "
        f"`apprentice break-glass confirm {glass.id}` does that."
    )
    seen = [blocks.context(f"Seen {blocks.moment(glass.seen_at)}.")] if glass.seen_at else []
    content = [blocks.section(text), blocks.context(f"Gates: {blocks.escape(gates)}"), blocks.section(state), *seen]
    return Notice(f"{text} {state}", [*content, *([_buttons(glass)] if glass.state == "open" else [])])


def _buttons(glass: BreakGlass) -> dict[str, Any]:
    confirm = {
        "title": blocks.plain("Roll it back?"),
        "text": blocks.plain("What answered before answers again, within seconds."),
        "confirm": blocks.plain("Roll back"),
        "deny": blocks.plain("Let it be"),
        "style": "danger",
    }
    undo = blocks.button(names.GLASS_UNDO_ACTION, "Roll back", glass.id, style="danger", confirm=confirm)
    seen = [] if glass.seen_at else [blocks.button(names.GLASS_SEEN_ACTION, "I have seen it", glass.id)]
    return {"type": "actions", "elements": [*seen, undo]}


async def note_broken_glass(parts: SlackParts) -> None:
    """Have it told, once each, that the glass was broken, wherever that was done."""
    for job in await asyncio.to_thread(_untold, parts):
        await store_job(parts, job)


def _untold(parts: SlackParts) -> list[GlassBroken]:
    with parts.database.read() as session:
        found = [GlassBroken(each.told.partition("/")[0], each.id) for each in list_break_glass(session, "open")]
        return [job for job in found if inbox.find_event(session, job.key) is None]
