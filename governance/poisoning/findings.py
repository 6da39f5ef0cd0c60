"""What a detector found, and how it is told to people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Suspicion = Literal["person_burst", "subject_burst", "copies", "group", "trigger", "refusal", "canary"]

IN_WORDS: Mapping[str, str] = {
    "person_burst": "its author wrote more corrections in a few minutes than anybody can check",
    "subject_burst": "several people corrected this subject within a short time",
    "copies": "several people gave nearly the same text within a short time",
    "group": "the same few people keep saying the same, about several questions, and nobody else does",
    "trigger": "one phrase goes with one answer in questions that have nothing else in common",
    "refusal": "it replaces an answer that refused for a reason of safety",
    "canary": "it changes the answer to a question that the policy protects",
}
"""Each suspicion, as the end of a sentence that begins with "because"."""


@dataclass(frozen=True)
class Finding:
    """Corrections that look like an attempt to steer the assistant; `phrase` is that of a trigger, as words."""

    suspicion: Suspicion
    ids: frozenset[str]
    phrase: tuple[str, ...] = ()


def in_words(suspicions: Iterable[str]) -> str:
    """Say why corrections are suspected, for a reviewer."""
    return ", and ".join(IN_WORDS[each] for each in suspicions)
