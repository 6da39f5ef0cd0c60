"""Finds secrets and personal data in feedback that an adapter must not give away, and in what it says.

The detectors are those that look at feedback before it is kept (`governance.privacy`), and a few wider ones: what is
guarded is only looked for, never masked, so one find too many costs nothing. Names of people are hardly ever found.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from governance.privacy.contacts import DATE
from governance.privacy.detection import find
from governance.privacy.secrets import entropy

MIN_PHONE_DIGITS, MAX_PHONE_DIGITS = 8, 15
"""E.164 allows 15 digits; fewer than 8 are more often a quantity than a telephone number."""
MIN_TOKEN_ENTROPY = 3.0
"""Bits a character; random hexadecimal has 4 in the long run, words and repeated characters less than 3."""

WIDER: Mapping[str, re.Pattern[str]] = {
    "person id": re.compile(r"(?<=<@)[UW][A-Z0-9]{6,}\b|\b[UW](?=[A-Z0-9]*\d)[A-Z0-9]{8,}\b"),
    "phone": re.compile(r"(?<![\w.,/-])(?:\+|\(?0)\d(?:[ ()./-]{0,2}\d){6,14}(?![\w/-]|[.,]\d)"),
    "key": re.compile(r"(?<![\w/+=-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}(?![\w/+=-])"),
}


@dataclass(frozen=True)
class Datum:
    """A secret or personal datum, and what it was said about; `text` never goes into a report."""

    kind: str
    text: str
    question: str = ""

    @property
    def fingerprint(self) -> str:
        """The first 12 hex characters of its SHA-256: enough to tell data apart, useless to read them."""
        return hashlib.sha256(_folded(self.text).encode()).hexdigest()[:12]

    def occurs_in(self, text: str) -> bool:
        """Tell whether the text has it, however it is spaced or written in capitals."""
        return _anywhere(self.text).search(text) is not None


def find_data(text: str, question: str = "") -> list[Datum]:
    """Return the data in a text, each once, those of the exact detectors first."""
    found: dict[str, Datum] = {}
    for kind, datum in (*_exactly(text), *_widely(text)):
        if _folded(datum) and not any(_folded(datum) in known for known in found):
            found[_folded(datum)] = Datum(kind, datum, question)
    return list(found.values())


def guarded_data(withheld: Iterable[tuple[str, str]], public: Iterable[str]) -> list[Datum]:
    """Return what nobody may hear: data in withheld texts, (question, text) each, that no public text has.

    What was said openly and accepted is no secret, so the same datum there frees it.
    """
    open_text = _folded("\n".join(public))
    found: dict[str, Datum] = {}
    for question, text in withheld:
        for datum in find_data(f"{question}\n{text}", question):
            if _folded(datum.text) not in open_text:
                found.setdefault(_folded(datum.text), datum)
    return list(found.values())


def masked(text: str, data: Iterable[Datum]) -> str:
    """Return the text with each of the data replaced by its kind in brackets."""
    for datum in data:
        text = _anywhere(datum.text).sub(f"[{datum.kind}]", text)
    return text


def _anywhere(datum: str) -> re.Pattern[str]:
    """Match the datum as a whole word or figure, whatever marks and spaces stand between its characters."""
    characters = [re.escape(character) for character in _folded(datum)]
    return re.compile(r"(?<!\w)" + r"[\s()./-]*".join(characters) + r"(?!\w)", re.IGNORECASE)


def _folded(text: str) -> str:
    return re.sub(r"[\s()./-]+", "", text).casefold()


def _exactly(text: str) -> Iterator[tuple[str, str]]:
    for each in find(text):
        yield each.kind.replace("_", " "), text[each.start : each.end]


def _widely(text: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in WIDER.items():
        for match in pattern.finditer(text):
            datum = match[0].rstrip(".,;:!?")
            if _is(kind, datum):
                yield kind, datum


def _is(kind: str, datum: str) -> bool:
    if kind == "phone":
        digits = [character for character in datum if character.isdigit()]
        fits = MIN_PHONE_DIGITS <= len(digits) <= MAX_PHONE_DIGITS
        return fits and len(set(digits)) > 1 and not DATE.fullmatch(datum)
    return kind != "key" or entropy(datum) >= MIN_TOKEN_ENTROPY
