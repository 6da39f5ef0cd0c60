"""How `/apprentice` is written and read. Pure: text in, words and advice out."""

import re
from dataclasses import dataclass
from difflib import get_close_matches

from bot.slack import names
from storage.errors import ApprenticeError

COMMANDS = {
    "help": ("", "what I can do"),
    "status": ("", "what answers, what trains, what waits for approval"),
    "ask": ("QUESTION", "an answer that only you see"),
    "compare": ("QUESTION", "two answers, and you say which is better"),
    "settings": ("", "how I behave in this channel"),
    "my-data": ("", "what is kept about you"),
    "train": ("[DOMAIN]", "start a training run now"),
    "pause": ("[HOURS]", "let no training begin, for so many hours or until it is resumed"),
    "resume": ("", "end the pause"),
    "pin": ("[ADAPTER DAYS REASON]", "let one adapter answer you for so many days, to compare it"),
    "unpin": ("", "end that"),
}
"""Each command with what is written behind it, and what it gives."""
EXAMPLES = ("ask how much annual leave do we get?", "pause 8")
HOURS = re.compile(r"(\d{1,6}(?:[.,]\d{1,3})?)\s*(?:h|hours?)?", re.IGNORECASE)


class HoursError(ApprenticeError):
    """What was written is no number of hours."""


@dataclass(frozen=True)
class Wish:
    """What somebody asks for: one of `COMMANDS`, or an `unknown` word; and what they wrote behind it."""

    command: str
    rest: str = ""
    unknown: str = ""


def read_wish(text: str) -> Wish:
    """Read what is written behind the slash command; case and white space do not matter. Nothing means `help`."""
    first, rest = (*text.split(maxsplit=1), "", "")[:2]
    word = first.lower().replace("_", "-").rstrip("?!.,:")
    if word == "my" and rest.strip().lower() == "data":
        word, rest = "my-data", ""
    if word in COMMANDS or not word:
        return Wish(word or "help", rest.strip())
    return Wish("help", rest.strip(), unknown=first)


def help_text() -> str:
    """Say what can be asked, as mrkdwn."""
    lines = [
        f"• `{' '.join(filter(None, (names.COMMAND, name, behind)))}`: {gives}"
        for name, (behind, gives) in COMMANDS.items()
    ]
    examples = " or ".join(f"`{names.COMMAND} {example}`" for example in EXAMPLES)
    return "\n".join([*lines, f"For example {examples}. To ask where others can read it, mention me in a channel."])


def meant(unknown: str) -> str | None:
    """Return the command that an unknown word comes nearest to, if one is near."""
    return next(iter(get_close_matches(unknown.lower().lstrip("/"), COMMANDS, n=1, cutoff=0.6)), None)


def read_hours(text: str) -> float | None:
    """Read a number of hours, as `8`, `1.5` or `8 hours`; None when nothing is written.

    Raises:
        HoursError: something else is.

    """
    if not text:
        return None
    found = HOURS.fullmatch(text)
    if found is None:
        raise HoursError(f"Write the hours as a number, for example `{names.COMMAND} pause 8`, or none at all.")
    return float(found[1].replace(",", "."))
