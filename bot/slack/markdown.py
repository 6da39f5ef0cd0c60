"""Standard markdown on its way into messages: harmless, given as typed, and cut where it can be cut. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

MENTION = re.compile(r"<(?=[!@#])")
"""Begins what Slack would turn into a mention, also in markdown: `<!channel>`, `<@U1>`, `<#C1>`."""
BROADCAST = re.compile(r"@(?=(?:here|channel|everyone)\b)", re.IGNORECASE)
UNDECIDED = re.compile(r"(?:<|<?@\w{0,8})\Z")
"""An end of a text that could become one of the two with what follows."""
WORD_JOINER = "\u2060"
"""Nobody sees it, and no name has it: `@here` with it behind the `@` is a word like others."""

TYPED = re.compile(
    r"(?P<address>https?://\S+)"
    r"|(?P<entity>&(?=(?:amp|lt|gt);))"
    r"|(?P<mark>\\(?=[!-/:-@\[-`{-~])|[`*~]|(?<!\w)_|_(?!\w)|\[(?=[^\]\n]*\]\()|^#(?=#{0,5}\s))",
    re.MULTILINE,
)
"""What markdown would read as more than its characters, and addresses, in which nothing is escaped."""

FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^`]*)$")
RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
"""The line between a table's head and its rows."""
REPEATED = 1_000
"""Characters of a fence or a table's head that are said again in the next message; a longer one is not."""


def harmless(text: str) -> str:
    """Return markdown that mentions nobody, and shows the same characters."""
    return BROADCAST.sub(f"@{WORD_JOINER}", MENTION.sub("&lt;", text))


class Incoming:
    """Makes a text harmless that comes in pieces, one of which may end in the middle of a mention."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """Return what of the text so far is decided and was not returned before."""
        text = self._held + piece
        undecided = UNDECIDED.search(text)
        at = undecided.start() if undecided else len(text)
        self._held = text[at:]
        return harmless(text[:at])

    def end(self) -> str:
        """Return the rest: nothing follows."""
        rest, self._held = self._held, ""
        return harmless(rest)


def as_typed(text: str) -> str:
    """Return markdown that shows a plain text as its author typed it."""

    def escaped(match: re.Match[str]) -> str:
        if match["address"]:
            return match["address"]
        return "&amp;" if match["entity"] else f"\\{match['mark']}"

    return TYPED.sub(escaped, text)


@dataclass(frozen=True)
class Unfinished:
    """What is open at the end of a text: `closing` ends it, `reopening` goes on with it in the next message."""

    closing: str = ""
    reopening: str = ""


FINISHED = Unfinished()


def unfinished(text: str) -> Unfinished:
    """Say which code block or table is open at the end of a text."""
    return next((state for _, state in reversed(list(_states(text)))), FINISHED)


def cut(text: str, low: int, high: int) -> int:
    """Return where a message that holds `text[:low]` ends at best, `low` excluded and `high` at most.

    After a paragraph, else after a line, outside code blocks and tables and in the second half of what there is to
    choose from; else after any line; else after a word; else at `high`.
    """
    paragraph = line = inside = 0
    for end, state in _states(text[:high]):
        if end <= low or text[end - 1] != "\n":
            continue
        if state != FINISHED or 2 * end < low + high:
            inside = end
        elif text[:end].endswith("\n\n"):
            paragraph = end
        else:
            line = end
    word = text.rfind(" ", low, high) + 1
    return paragraph or line or inside or (word if word > low else high)


def _states(text: str) -> Iterator[tuple[int, Unfinished]]:
    """Give for each line where it ends, and what is open there; the first line of a table is one with the second."""
    fence, table, before, end = "", "", "", 0
    for ended, following in pairwise([*text.splitlines(keepends=True), ""]):
        line, end = ended.rstrip("\n"), end + len(ended)
        mark = FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(_mark(fence)) and not mark[2].strip():
                fence = ""
        elif mark:
            fence, table = line, ""
        elif "|" in before and "|" in line and RULE.match(line):
            table = f"{before}\n{line}\n"
        elif "|" not in line:
            table = ""
        before = line
        if fence or "|" not in line or "|" not in following or not RULE.match(following):
            yield end, _open(fence, table, new_line=ended.endswith("\n"))


def _open(fence: str, table: str, *, new_line: bool) -> Unfinished:
    if fence:
        first = fence if len(fence) <= REPEATED else _mark(fence)
        return Unfinished(("" if new_line else "\n") + _mark(fence), f"{first}\n")
    return Unfinished("", table) if 0 < len(table) <= REPEATED else FINISHED


def _mark(fence: str) -> str:
    """Return the bare characters of a line that opens a code block."""
    stripped = fence.strip()
    return stripped[: len(stripped) - len(stripped.lstrip(stripped[0]))]
