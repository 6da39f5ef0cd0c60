"""What is kept about one person, for that person: counted, and the newest of it in a direct message."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack import blocks, names
from bot.slack.directory import Directory
from bot.slack.links import approvers
from bot.slack.outbox import Outbox
from bot.slack.overview import counted
from bot.slack.parts import SlackParts
from bot.slack.requests import DataRequest
from bot.slack.whisper import Notice, write_to
from storage.adapters import Adapter
from storage.feedback import Feedback, Said, count_said, latest_said
from storage.interactions import Interaction, count_asked, latest_asked
from storage.proposals import list_proposals

STATES = {
    "accepted": "accepted",
    "pending_review": "waiting for review",
    "declined": "declined",
    "quarantined": "set aside",
    "received": "just received",
}
RECENT = 10
"""Of the questions, and of the votes and corrections, that a direct message shows."""
SHOWN_ADAPTERS = 5
TEXT_LIMIT = 200
ROOM = 2_900
"""Characters of the lines in one section, in which 3,000 fit."""


@dataclass(frozen=True)
class Kept:
    """What is kept about a person. `adapters` are those proposed so far that learned from them, newest first."""

    questions: int
    said: list[Said]
    first: datetime | None
    last: datetime | None
    adapters: list[Adapter]


class MyData:
    """Tells people what is kept about them."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient, outbox: Outbox, directory: Directory) -> None:
        self._parts = parts
        self._client = client
        self._outbox = outbox
        self._directory = directory

    async def summary(self, person: str) -> blocks.Blocks:
        """Count what is kept, with a button that sends the newest of it."""
        kept = await asyncio.to_thread(self._count, person)
        return [*await self._summary(kept), data_button()]

    async def send(self, job: DataRequest) -> None:
        """Send what is kept in a direct message."""
        person = await self._directory.person(job.team, job.user)
        kept = await asyncio.to_thread(self._count, person)
        asked, said = await asyncio.to_thread(self._latest, person)
        shown = [*await self._summary(kept), *recent(asked, said)]
        notice = Notice("What I keep about you", shown)
        await write_to(self._client, self._outbox, f"{job.key}/data", job.user, notice)

    async def _summary(self, kept: Kept) -> blocks.Blocks:
        channel = await approvers(self._parts, self._directory)
        small_print = (
            "Who decided on an adapter, reviewed a correction or started a run is kept too, also in the audit log. "
            f"To have yours erased, or to get all of it as a file, ask those who run Apprentice here, in {channel}."
        )
        return [blocks.header("What I keep about you"), blocks.section(kept_text(kept)), blocks.context(small_print)]

    def _count(self, person: str) -> Kept:
        with self._parts.database.read() as session:
            questions, *asked = count_asked(session, person)
            said = count_said(session, person)
            taught = [each.adapter_digest for each in list_proposals(session) if person in each.shares]
            adapters = [session.get(Adapter, digest) for digest in dict.fromkeys(taught)]
        times = [*filter(None, asked), *(time for each in said for time in (each.first, each.last))]
        known = [adapter for adapter in adapters if adapter is not None]
        return Kept(questions, said, min(times, default=None), max(times, default=None), known)

    def _latest(self, person: str) -> tuple[list[Interaction], list[Feedback]]:
        with self._parts.database.read() as session:
            return latest_asked(session, person, RECENT), latest_said(session, person, RECENT)


def data_button() -> dict[str, object]:
    """Give the button that sends people what is kept about them."""
    label = "Send me in a direct message what is kept about me"
    button = blocks.button(names.SEND_DATA_ACTION, "Send me my data", "send", accessibility_label=label)
    return {"type": "actions", "elements": [button]}


def kept_text(kept: Kept) -> str:
    """Say how much is kept, as mrkdwn."""
    if kept.first is None or kept.last is None:
        return "Your name; you have not asked, voted or corrected yet."
    votes = {kind: sum(each.number for each in kept.said if each.kind == kind) for kind in ("up", "down")}
    states = ", ".join(f"{each.number:,} {STATES[each.state]}" for each in kept.said if each.kind == "correction")
    corrections = sum(each.number for each in kept.said if each.kind == "correction")
    preferred = sum(each.number for each in kept.said if each.kind == "preference")
    lines = [
        f"{counted(kept.questions, 'question')} with their answers" if kept.questions else "no question",
        f"{counted(sum(votes.values()), 'vote')}: {votes['up']:,} for good answers, {votes['down']:,} for bad ones",
        *([f"{counted(preferred, 'choice')} of the better one of two answers"] if preferred else []),
        counted(corrections, "correction") + (f": {states}" if states else ""),
        _learned(kept.adapters),
        f"the first {blocks.moment(kept.first)}, the last {blocks.moment(kept.last)}",
    ]
    return "\n".join(f"• {line}" for line in lines)


def recent(asked: Iterable[Interaction], said: Iterable[Feedback]) -> blocks.Blocks:
    """Give the newest questions, votes and corrections as blocks; of more than fits, the oldest are left out."""
    questions = [f"{blocks.moment(row.created_at)}: {_short(row.question)}\n> {_short(row.answer)}" for row in asked]
    return [
        *_lines("Your newest questions, and what I answered", questions),
        *_lines("Your newest votes and corrections", [_said(row) for row in said]),
    ]


def _said(row: Feedback) -> str:
    known = {"up": "a good answer", "down": "a bad answer", "preference": "the better one of two answers"}
    what = known.get(row.kind, f"corrected, {STATES.get(row.state, '')}")
    new = f"\n> {_short(row.text)}" if row.text else ""
    return f"{blocks.moment(row.created_at)}, {what}: {_short(row.question)}{new}"


def _lines(title: str, lines: list[str]) -> blocks.Blocks:
    """Give as many of the lines as fit, with their title; nothing when there are none."""
    text = f"*{title}*"
    for line in lines:
        if len(text) + len(line) >= ROOM:
            break
        text += f"\n{line}"
    return [blocks.section(text)] if lines else []


def _learned(adapters: list[Adapter]) -> str:
    shown = ", ".join(f"`{adapter.digest[:12]}` ({adapter.state})" for adapter in adapters[:SHOWN_ADAPTERS])
    more = f" and {len(adapters) - SHOWN_ADAPTERS} older ones" if len(adapters) > SHOWN_ADAPTERS else ""
    return f"adapters that learned from your corrections: {shown or 'none'}{more}"


def _short(text: str) -> str:
    return blocks.escape(blocks.clip(" ".join(text.split()), TEXT_LIMIT))
