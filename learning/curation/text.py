"""How texts are cleaned, and what makes two spellings of a text the same."""

import re
import unicodedata

_SPACE = re.compile(r"[^\S\n]+")
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
"""Controls, soft hyphens, zero-width spaces, marks of direction; not the joiners, which Persian and emoji need."""


def normalise(text: str) -> str:
    """Return the text in Unicode NFC, without what nobody sees, white space collapsed, blank lines at both ends cut."""
    seen = _INVISIBLE.sub("", unicodedata.normalize("NFC", text))
    lines = (_SPACE.sub(" ", line).strip() for line in seen.splitlines())
    return "\n".join(lines).strip()


def question_key(question: str) -> str:
    """Return what two spellings of the same question share: case, white space and closing marks do not count."""
    return fold(normalise(question))


def fold(text: str) -> str:
    """Give the key of a text that is normalised already; answers are compared by it too."""
    return text.casefold().replace("\n", " ").rstrip(" ?!.")
