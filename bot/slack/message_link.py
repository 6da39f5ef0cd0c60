"""The link of a message, as Slack copies it, and the answer that the message is or asked for."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, urlsplit

from sqlmodel import Session

from storage.errors import NotFoundError
from storage.interactions import Interaction, interactions_at, is_in_channel
from storage.people import workspaces

PATH = re.compile(r"/archives/(?P<channel>[A-Z0-9]+)/p(?P<seconds>\d{10})(?P<fraction>\d{6})/?")
"""What Slack's chat.getPermalink returns: the message's ts without its point, behind the id of the channel."""
TS = re.compile(r"\d{10}\.\d{6}")


@dataclass(frozen=True)
class MessageLink:
    """One message: the host of its workspace, and where it is there."""

    host: str
    channel: str
    ts: str

    @classmethod
    def read(cls, link: str) -> Self:
        """Read a link of Slack or of the local workspace; the thread that Slack adds behind it says nothing new.

        Raises:
            NotFoundError: it is no link of a message.

        """
        parts = urlsplit(link)
        if path := PATH.fullmatch(parts.path):
            return cls(parts.netloc, path["channel"], f"{path['seconds']}.{path['fraction']}")
        query = parse_qs(parts.query)
        channel, ts = query.get("channel", [""])[-1], query.get("message", [""])[-1]
        if channel and TS.fullmatch(ts):
            return cls(parts.netloc, channel, ts)
        raise NotFoundError(
            f"{link} is no link of a message. Choose “Copy link” at the message in Slack, "
            "which gives one like https://team.slack.com/archives/C0123ABCD/p1700000000000100."
        )


def is_link(text: str) -> bool:
    """Tell whether somebody gave a link rather than an id."""
    return text.startswith(("https://", "http://"))


def answer_at(session: Session, link: MessageLink) -> Interaction:
    """Return the answer that a message is, or that it got, also one whose words were erased.

    Raises:
        NotFoundError: it is neither an answer nor a question that was answered, or it got several answers.

    """
    found = interactions_at(session, link.channel, link.ts)
    if len(found) > 1:
        ids = ", ".join(row.id for row in found)
        raise NotFoundError(f"that message got {len(found)} answers: {ids}. Give the id or the link of one of them.")
    if found:
        return found[0]
    if not is_in_channel(session, link.channel):
        known = ", ".join(f"{each.name} ({each.id})" for each in workspaces(session)) or "none"
        raise NotFoundError(
            f"nothing was answered in the channel {link.channel} of {link.host}. "
            f"Is the link of another channel or workspace? Workspaces known here: {known}."
        )
    raise NotFoundError(
        f"the message {link.ts} in {link.channel} is neither an answer nor a question that was answered. "
        "Of an answer in several messages the last one counts, which has the buttons."
    )
