"""Made-up feedback for measurements: many people, corrections and votes, wordings, slips, disputes; always the same."""

import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any

from bot.feedback_file import IMPORT_WORKSPACE
from storage.people import person_id

SEED = 20_260_105
ROWS_PER_QUESTION = 8
ROWS_PER_PERSON = 200
MOST_PEOPLE, FEWEST_PEOPLE = 5_000, 20
CORRECTIONS = 0.3
LIKED = 0.65
"""Of the votes."""
DISPUTED = 0.02
"""Of the questions: people correct them in two ways."""
PRIVATE = 0.05
UNUSABLE = 0.01
"""Of the corrections: empty in effect, far too long, in another language, or the question again."""
START = datetime(2026, 1, 5, tzinfo=UTC)

_VERBS = ("approves", "maintains", "schedules", "documents", "renews", "inspects", "archives", "supervises")
_THINGS = (
    "accreditation", "reimbursement", "infrastructure", "documentation", "subscription", "certificate", "inventory",
    "maintenance", "onboarding", "compliance", "procurement", "translation", "insurance", "equipment", "laboratory",
    "newsletter",
)  # fmt: skip
_SYLLABLES = ("ba", "do", "fi", "ge", "hu", "ka", "lo", "mi", "nu", "pe", "ra", "so", "ti", "vu", "wa", "zo")
_WORDINGS = (
    "Who {verb} the {thing} of {place}?", "who {verb} the {thing} of {place}", "Who {verb} {thing} of {place}?",
    "Can you tell me who {verb} the {thing} of {place}?", "who {verb} the {thing} of {place} please",
    "{place}: {thing}, who {verb} it?", "Which person {verb} {thing} for {place}?",
)  # fmt: skip
_GERMAN = "Das macht die Kollegin aus der Verwaltung, die im zweiten Stock gleich neben dem Aufzug sitzt."


@dataclass(frozen=True)
class Question:
    """A question of the made-up organisation: its parts, its answers (the right one first), whether it is disputed."""

    verb: str
    thing: str
    place: str
    disputed: bool

    @classmethod
    def numbered(cls, number: int) -> "Question":
        """Return the question with this number; no two have the same words."""
        rest, verb = divmod(number, len(_VERBS))
        place, thing = divmod(rest, len(_THINGS))
        disputed = random.Random(number).random() < DISPUTED  # noqa: S311 - not for secrets
        return cls(_VERBS[verb], _THINGS[thing], _name(place), disputed)

    @property
    def answers(self) -> tuple[str, str, str]:
        """The right answer, and two others."""
        names = (_name(sum(map(ord, f"{self.verb}{self.thing}{self.place}{which}")) * 37) for which in "abc")
        first, second, third = (f"{name.title()} {self.verb} the {self.thing} of {self.place}." for name in names)
        return first, second, third

    def asked(self, chance: random.Random) -> str:
        """Ask it in one of its wordings, now and then with a letter missing in the longest word."""
        wording = chance.choices(_WORDINGS, weights=(6, 3, 2, 1, 1, 1, 1))[0]
        thing = self.thing
        if len(thing) > 10 and chance.random() < 0.03:  # noqa: PLR2004 - no shorter word counts as misspelled
            at = chance.randrange(1, len(thing))
            thing = thing[:at] + thing[at + 1 :]
        return wording.format(verb=self.verb, thing=thing, place=self.place.title())


def people_of(rows: int) -> int:
    """Return how many people say so many rows."""
    return min(MOST_PEOPLE, max(FEWEST_PEOPLE, rows // ROWS_PER_PERSON))


def make_feedback(rows: int) -> Iterator[dict[str, Any]]:
    """Give so many rows as columns of the feedback table, in the order of their time."""
    chance = random.Random(SEED)  # noqa: S311 - not for secrets
    questions = max(1, rows // ROWS_PER_QUESTION)
    shares = list(accumulate(1 / (10 + place) for place in range(people_of(rows))))  # few say much, many a little
    for number in range(rows):
        question = Question.numbered(int(questions * chance.random() ** 1.5))
        person = bisect(shares, chance.random() * shares[-1])
        yield {
            "id": f"fb_{number:08}",
            "workspace_id": IMPORT_WORKSPACE,
            "person_id": person_id(IMPORT_WORKSPACE, f"U{person:05}"),
            "source": "bench",
            "question": question.asked(chance),
            "private": chance.random() < PRIVATE,
            "created_at": START + timedelta(seconds=number),
            **_said(question, chance),
        }


def _said(question: Question, chance: random.Random) -> dict[str, str]:
    right, *wrong = question.answers
    if chance.random() >= CORRECTIONS:
        kind = "up" if chance.random() < LIKED else "down"
        answer = right if (kind == "up") is (chance.random() < 0.95) else chance.choice(wrong)  # noqa: PLR2004
        return {"kind": kind, "answer": answer, "text": ""}
    text = chance.choice([right, wrong[0]]) if question.disputed else right
    if chance.random() < UNUSABLE:
        text = chance.choice(["...", "much " * 1_000, _GERMAN, _WORDINGS[0].format(**_parts(question))])
    # A correction of the other corrected answer would replace it, and no dispute be left.
    return {"kind": "correction", "answer": wrong[1] if question.disputed else chance.choice(wrong), "text": text}


def _parts(question: Question) -> dict[str, str]:
    return {"verb": question.verb, "thing": question.thing, "place": question.place.title()}


def _name(number: int) -> str:
    """Spell a number in syllables, four at least: equal names have equal numbers."""
    name = ""
    for _ in range(4):
        number, digit = divmod(number, len(_SYLLABLES))
        name += _SYLLABLES[digit]
    while number:
        number, digit = divmod(number, len(_SYLLABLES))
        name += _SYLLABLES[digit]
    return name
