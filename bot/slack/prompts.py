"""What is suggested to somebody who opens the conversation: what people corrected or often ask here.

Never from private conversations, and of what was only asked, nothing that a single person asked.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from bot.slack.blocks import clip
from storage.feedback import lately_corrected
from storage.interactions import public_questions

PROMPTS = [
    {"title": "What can you do?", "message": "What can you help me with?"},
    {"title": "How do you learn?", "message": "How do I correct an answer of yours?"},
]
"""What anybody may ask; suggested beside what is asked here, as far as there is room."""
MOST = 4
"""Prompts that Slack shows."""
TITLE = 60
LONGEST = 200
"""Characters of a question that is suggested."""
LATELY = timedelta(days=30)
LOOKED_AT = 500
OFTEN = 2
"""People who asked a question before others are shown it."""


def suggested_prompts(session: Session, workspace_id: str, now: datetime) -> list[dict[str, str]]:
    """Return up to four prompts, each with `title` and `message`."""
    corrected = lately_corrected(session, workspace_id, now - LATELY, LOOKED_AT)
    asked = public_questions(session, workspace_id, now - LATELY, LOOKED_AT)
    found = [{"title": clip(question, TITLE), "message": question} for question in worth_asking(corrected, asked)]
    return (found + PROMPTS)[:MOST]


def worth_asking(corrected: Iterable[str], asked: Sequence[tuple[str, str]]) -> list[str]:
    """Return the questions worth suggesting, the best first: corrected ones, then what most people asked.

    Both arguments begin with the newest; `asked` is (question, person).
    """
    people: defaultdict[str, set[str]] = defaultdict(set)
    for question, person in asked:
        people[_key(question)].add(person)
    often = [question for question, _ in asked if len(people[_key(question)]) >= OFTEN]
    often.sort(key=lambda question: -len(people[_key(question)]))
    found: dict[str, str] = {}
    for question in (*corrected, *often):
        found.setdefault(_key(question), " ".join(question.split()))
    return [question for question in found.values() if 0 < len(question) <= LONGEST][:MOST]


def _key(question: str) -> str:
    """Return what is the same for two ways of typing a question."""
    return " ".join(question.casefold().split()).rstrip("?!. ")
