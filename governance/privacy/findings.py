"""What a detector reports, which of two reports counts, and how a text looks once it is masked. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "private_key", "key", "password", "email", "iban", "card", "national_id", "birth_date", "ip",
    "case_number", "record_number", "account", "name", "phone",
]  # fmt: skip
"""What is told apart. Where two kinds claim the same characters the one that stands first here has them."""

IN_WORDS: dict[Kind, str] = {
    "private_key": "a private key",
    "key": "an access key or token",
    "password": "a password or code",
    "email": "an e-mail address",
    "iban": "an IBAN",
    "card": "a card number",
    "national_id": "a national identity number",
    "birth_date": "a date of birth",
    "ip": "an IP address",
    "case_number": "a case number",
    "record_number": "a medical record number",
    "account": "an account number",
    "name": "the name of a patient or client",
    "phone": "a telephone number",
}


@dataclass(frozen=True, order=True)
class Finding:
    """One datum in a text: the characters from `start` up to `end`, its kind, and the name of what found it."""

    start: int
    end: int
    kind: Kind
    detector: str


def settle(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings that do not overlap, in the order of the text: of two the first in `Kind`, then the longer."""
    order = get_args(Kind)
    settled: list[Finding] = []
    for each in sorted(findings, key=lambda item: (order.index(item.kind), item.start - item.end, item)):
        if all(each.end <= other.start or other.end <= each.start for other in settled):
            settled.append(each)
    return sorted(settled)


def masked(text: str, findings: Sequence[Finding]) -> str:
    """Return the text with each finding, none of which overlap, replaced by its kind in brackets."""
    for each in sorted(findings, reverse=True):
        text = f"{text[: each.start]}[{each.kind.replace('_', ' ')}]{text[each.end :]}"
    return text


def in_words(kinds: Iterable[str]) -> str:
    """Name kinds for people, each once, without saying what was found."""
    names = [words for kind, words in IN_WORDS.items() if kind in set(kinds)]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
