"""How texts are cleaned, and what makes two spellings of a text the same."""

import re
import unicodedata

_SPACE = re.compile(r"[^\S\n]+")


def normalise(text: str) -> str:
    """Return the text in Unicode NFC, each line's white space collapsed, blank lines at both ends cut."""
    lines = (_SPACE.sub(" ", line).strip() for line in unicodedata.normalize("NFC", text).splitlines())
    return "\n".join(lines).strip()


def question_key(question: str) -> str:
    """Return what two spellings of the same question share: case, white space and closing marks do not count."""
    return fold(normalise(question))


def fold(text: str) -> str:
    """Give the key of a text that is normalised already; answers are compared by it too."""
    return text.casefold().replace("\n", " ").rstrip(" ?!.")
