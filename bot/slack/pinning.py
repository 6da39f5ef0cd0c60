"""Pins in Slack: `/apprentice pin` and `unpin` for oneself, and what those are told whom a pin concerns."""

import asyncio
import re

from bot.serving import Refusal
from bot.slack import blocks, names
from bot.slack.parts import SlackParts
from bot.slack.wording import Wish
from governance.pinning import BASE, Subject
from storage.domains import DEFAULT_DOMAIN
from storage.errors import ApprenticeError
from storage.pins import Pin, pin_for

PIN = re.compile(r"(?P<adapter>\S+)\s+(?P<days>\d{1,3}(?:[.,]\d{1,2})?)\s*(?:d|days?)?\s+(?P<reason>.+)", re.DOTALL)
HOW_TO_PIN = (
    f"Write which adapter is to answer you, for how many days, and why: `{names.COMMAND} pin 3f9a0c12 7 its tone`. "
    f"`{BASE}` in place of the digest is the base model."
)


class Pinning:
    """Pins people to the adapter that they choose; returns what they are told, as mrkdwn."""

    def __init__(self, parts: SlackParts) -> None:
        self._parts = parts

    async def do(self, wish: Wish, person: str, place: str) -> str:
        """Do what somebody asked for in the channel `place` (`<team id>/<channel id>`): `pin`, or `unpin`."""
        if wish.command == "unpin":
            return await self.unpin(person)
        if wish.rest:
            return await self.pin(person, wish.rest)
        return await asyncio.to_thread(pinned_text, self._parts, person, place) or f"You are not pinned. {HOW_TO_PIN}"

    async def pin(self, person: str, text: str) -> str:
        """Let an adapter answer this person from now on."""
        read = PIN.fullmatch(text.strip())
        if read is None:
            return HOW_TO_PIN
        try:
            await asyncio.to_thread(self._pin, person, read)
        except ApprenticeError as error:
            return f"You are not pinned: {blocks.escape(str(error))}"
        await self._parts.serving.sync()
        return await asyncio.to_thread(pinned_text, self._parts, person, "")

    async def unpin(self, person: str) -> str:
        """Let what serves answer this person again."""
        try:
            await asyncio.to_thread(self._parts.governance.unpin, person, person)
        except ApprenticeError:
            return "You are not pinned."
        return "You are not pinned any more: what answers everybody answers you."

    def _pin(self, person: str, read: re.Match[str]) -> None:
        adapter, days = read["adapter"].lower(), float(read["days"].replace(",", "."))
        subject = Subject("person", person)
        self._parts.governance.pin(subject, adapter, actor=person, reason=read["reason"], days=days)


def pinned_text(parts: SlackParts, person: str, place: str) -> str:
    """Say, as mrkdwn, what answers a person in a channel because of a pin; empty without one. Reads the database."""
    with parts.database.read() as session:
        pin = pin_for(session, person, place, parts.clock())
    return _told(pin, parts.serving.refusals.get(pin.adapter_digest or "")) if pin else ""


def _told(pin: Pin, refused: Refusal | None) -> str:
    own, adapter = pin.kind == "person", pin.adapter_digest
    which = f"adapter `{adapter[:12]}`" if adapter else "the base model"
    if own and pin.domain != DEFAULT_DOMAIN:
        which += f" in channels about {pin.domain}"
    text = (
        f"*{'You are' if own else 'This channel is'} pinned* to {which} until {blocks.moment(pin.ends_at)}: "
        f"{blocks.escape(pin.reason)}\nVotes on its answers decide nothing about a rollout."
    )
    if refused:
        text += f" It cannot be loaded, so what serves answers: {blocks.escape(refused.why)}"
    return text + (f" `{names.COMMAND} unpin` ends that." if own else "")
