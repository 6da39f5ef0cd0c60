"""Finds secrets and personal data in feedback that an adapter must not give away, and in what it says.

Simple detectors, exact rather than complete: addresses, numbers with a checksum or an unmistakable form, tokens with a
known beginning, and what is named as a password. Names of people are not found.
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

MIN_PHONE_DIGITS, MAX_PHONE_DIGITS = 8, 15
"""E.164 allows 15 digits; fewer than 8 are more often a quantity than a telephone number."""
MIN_TOKEN_ENTROPY = 3.0
"""Bits a character; random hexadecimal has 4 in the long run, words and repeated characters less than 3."""
MIN_PASSWORD = 4
"""Characters; a shorter one is guessed rather than leaked, and would be found in half of all answers."""
CARD_LENGTHS = range(13, 20)
DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")

PATTERNS: Mapping[str, re.Pattern[str]] = {
    "e-mail address": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}", re.IGNORECASE),
    "key": re.compile(
        r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_\w{20,}|xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}|sk-[\w-]{16,}|AIza[\w-]{30,}"
        r"|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*)|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    ),
    "password": re.compile(
        r"\b(?:password|passwort|passphrase|passcode|pin|secret)(?: (?:for|of)(?: \w+){1,3})?(?: is|:| ?=)"
        r" *(?P<datum>\S*\d\S*)",
        re.IGNORECASE,
    ),
    "bank account": re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "card number": re.compile(r"(?<![\d.,])\d(?:[ -]?\d){12,18}(?![\d.,]?\d)"),
    "social security number": re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"),
    "person id": re.compile(r"(?<=<@)[UW][A-Z0-9]{6,}\b|\b[UW](?=[A-Z0-9]*\d)[A-Z0-9]{8,}\b"),
    "telephone number": re.compile(r"(?<![\w.,/-])(?:\+|\(?0)\d(?:[ ()./-]{0,2}\d){6,14}(?![\w/-]|[.,]\d)"),
    "token": re.compile(r"(?<![\w/+=-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}(?![\w/+=-])"),
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
    """Return the data in a text, each once, in the order of the detectors."""
    found: dict[str, Datum] = {}
    for kind, pattern in PATTERNS.items():
        for match in pattern.finditer(text):
            datum = (match["datum"] if "datum" in pattern.groupindex else match[0]).rstrip(".,;:!?")
            if _is(kind, datum) and not any(_folded(datum) in known for known in found):
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


def _is(kind: str, datum: str) -> bool:
    digits = [int(character) for character in datum if character.isdigit()]
    if kind == "card number":
        return len(digits) in CARD_LENGTHS and len(set(digits)) > 1 and _luhn(digits)
    if kind == "bank account":
        return _iban(datum.replace(" ", ""))
    if kind == "telephone number":
        fits = MIN_PHONE_DIGITS <= len(digits) <= MAX_PHONE_DIGITS
        return fits and len(set(digits)) > 1 and not DATE.fullmatch(datum)
    if kind == "password":
        return len(datum) >= MIN_PASSWORD
    return kind != "token" or _entropy(datum) >= MIN_TOKEN_ENTROPY


def _luhn(digits: list[int]) -> bool:
    """Check the card number's last digit (ISO/IEC 7812-1)."""
    doubled = [sum(divmod(2 * digit, 10)) if at % 2 else digit for at, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _iban(account: str) -> bool:
    """Check the account number's two check digits (ISO 13616: the remainder by 97 is 1)."""
    turned = account[4:] + account[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _entropy(text: str) -> float:
    """Return Shannon's entropy of the characters, in bits a character."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)
