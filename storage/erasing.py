"""Texts that are taken out of the tables: rows stay, for what refers to them, without what was said.

What is kept of a text is the digest in the audit log, which was written when it was said.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, exists, select

from storage.feedback import Feedback
from storage.inbox import OPEN, InboxEvent
from storage.interactions import Interaction, forget_used
from storage.outbox import UNSENT, OutboxCall
from storage.people import Person, get_person
from storage.shadows import ShadowAnswer

GONE = ("withdrawn", "declined", "erased")
NAME = "(erased)"
MIN_RECOGNISED = 12
"""Characters of a text by which a copy of it is recognised; shorter ones stand in too much that is somebody else's."""


def forgettable_questions(session: Session, before: datetime, limit: int) -> list[Interaction]:
    """Return questions asked before this time, with their answers, on which no feedback stands."""
    standing = exists().where(col(Feedback.interaction_id) == col(Interaction.id), col(Feedback.state).not_in(GONE))
    query = select(Interaction).where(col(Interaction.created_at) < before, Interaction.question != "", ~standing)
    return list(session.exec(query.order_by(col(Interaction.created_at)).limit(limit)))


def forgettable_feedback(session: Session, before: datetime, limit: int) -> list[Feedback]:
    """Return feedback that was given before this time and declined or taken back."""
    query = select(Feedback).where(
        col(Feedback.created_at) < before, col(Feedback.state).in_(("declined", "withdrawn"))
    )
    return list(session.exec(query.order_by(col(Feedback.created_at), col(Feedback.id)).limit(limit)))


def blank_question(session: Session, interaction: Interaction) -> None:
    """Take question and answer out of an interaction, and what an adapter in shadow would have answered."""
    for shadow in session.exec(select(ShadowAnswer).where(ShadowAnswer.interaction_id == interaction.id)):
        shadow.answer = ""
        session.add(shadow)
    forget_used(session, interaction.id)
    interaction.question = interaction.answer = ""
    interaction.source = {key: value for key, value in interaction.source.items() if key in {"how", "side", "domain"}}
    session.add(interaction)


def blank_feedback(session: Session, feedback: Feedback) -> None:
    """Take all texts out of feedback."""
    feedback.question = feedback.answer = feedback.text = ""
    feedback.reviewer_reason = None
    session.add(feedback)


def asked_by(session: Session, person_id: str) -> list[Interaction]:
    """Return a person's questions whose texts are there."""
    return list(session.exec(select(Interaction).where(Interaction.asker_id == person_id, Interaction.question != "")))


def said_by(session: Session, person_id: str) -> list[Feedback]:
    """Return all feedback of a person that is not erased."""
    query = select(Feedback).where(Feedback.person_id == person_id, Feedback.state != "erased")
    return list(session.exec(query.order_by(col(Feedback.created_at), col(Feedback.id))))


def answered_from(session: Session, feedback_ids: Collection[str], texts: Sequence[str]) -> list[Interaction]:
    """Return the interactions whose answer rests on any of this feedback, or repeats one of these texts."""
    query = select(Interaction).where(Interaction.answer != "").execution_options(yield_per=1_000)
    return [
        row
        for row in session.exec(query)
        if not set(row.source.get("feedback", ())).isdisjoint(feedback_ids) or _repeats(row.answer, texts)
    ]


def blank_shadows(session: Session, texts: Sequence[str]) -> None:
    """Take out the answers that nobody was shown and that repeat one of these texts."""
    query = select(ShadowAnswer).where(ShadowAnswer.answer != "").execution_options(yield_per=1_000)
    for shadow in [row for row in session.exec(query) if _repeats(row.answer, texts)]:
        shadow.answer = ""
        session.add(shadow)


def _repeats(answer: str, texts: Sequence[str]) -> bool:
    return any(text in answer for text in texts if len(text) >= MIN_RECOGNISED)


def repeating(
    session: Session, texts: Sequence[str], interaction_ids: Sequence[str], batch: int = 500
) -> list[Feedback]:
    """Return the feedback, of whomever, on answers that were one of these texts or given in these interactions."""
    found: dict[str, Feedback] = {}
    for column, values in ((Feedback.answer, texts), (Feedback.interaction_id, interaction_ids)):
        for start in range(0, len(values), batch):
            wanted = col(column).in_(values[start : start + batch])
            rows = session.exec(select(Feedback).where(wanted, Feedback.state != "erased", Feedback.answer != ""))
            found |= {row.id: row for row in rows}
    return list(found.values())


def mail_of(session: Session, person: Person) -> list[dict[str, Any]]:
    """Return what the inbox keeps of a person's own jobs, the oldest first."""
    return [event.payload for event in _of_person(session, person)]


def blank_mail(session: Session, person: Person, texts: Iterable[str]) -> int:
    """Empty what inbox and outbox keep of a person and is settled; return how many rows that were.

    In the outbox these are the calls that name the person, or repeat one of the texts.
    """
    emptied = 0
    for event in _of_person(session, person):
        if event.state not in OPEN:
            event.payload, emptied = {}, emptied + 1
            session.add(event)
    wanted = [person.slack_user_id, *(json.dumps(text)[1:-1] for text in texts if len(text) >= MIN_RECOGNISED)]
    for call in session.exec(select(OutboxCall).where(col(OutboxCall.state).not_in(UNSENT))).all():
        if any(each in json.dumps(call.arguments) for each in wanted):
            call.arguments, emptied = {}, emptied + 1
            session.add(call)
    return emptied


def _of_person(session: Session, person: Person) -> list[InboxEvent]:
    events = session.exec(select(InboxEvent).order_by(col(InboxEvent.id)).execution_options(yield_per=1_000))
    whose = person.workspace_id, person.slack_user_id
    return [event for event in events if (event.payload.get("team"), event.payload.get("user")) == whose]


def blank_person(session: Session, person_id: str, now: datetime) -> Person:
    """Take a person's name out, and note when; the id stays, as the audit log has it."""
    person = get_person(session, person_id)
    person.name, person.time_zone, person.erased_at = NAME, "UTC", now
    session.add(person)
    return person


def erased_feedback(session: Session) -> set[str]:
    """Return the ids of all feedback whose texts are gone."""
    return set(session.exec(select(Feedback.id).where(Feedback.state == "erased")))


def feedback_of_erased(session: Session) -> set[str]:
    """Return the ids of the feedback that people gave before they were erased."""
    query = select(Feedback.id).join(Person, col(Person.id) == col(Feedback.person_id))
    query = query.where(Feedback.state == "erased", col(Person.erased_at) >= col(Feedback.created_at))
    return set(session.exec(query))
