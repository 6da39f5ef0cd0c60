"""Erasing texts: those of a person who wants that, and those whose time is over; with the effect on adapters.

Rows and audit records stay, texts go. That it was done is in the audit log, with a digest over the ids of what went.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from governance.audit import text_digest
from governance.ledger import SYSTEM, Ledger, digests_of
from governance.promotion import close, take_out
from storage import erasing
from storage.adapters import Adapter, find_adapter
from storage.feedback import Feedback
from storage.pins import pins_to, remove_pin
from storage.proposals import proposal_for
from storage.runs import ACTIVE, Run, list_runs

AT_ONCE = 500
"""Rows that are erased in one transaction."""
WHY = "It learned from somebody who was erased."


@dataclass(frozen=True)
class ErasedPerson:
    """How much was erased of a person; `mail` are the settled jobs and messages that were emptied."""

    feedback: int
    questions: int
    mail: int


def erase_person(ledger: Ledger, session: Session, person_id: str, actor: str) -> ErasedPerson:
    """Erase what a person said and asked, and what repeats it; done again, it finds nothing.

    A question of theirs that somebody else corrected stays with that correction, which is that other person's; nothing
    there says who asked it. Decisions and reviews stay too: others rely on them.
    """
    said, asked = erasing.said_by(session, person_id), erasing.asked_by(session, person_id)
    texts = [each.text for each in said if each.text]
    words = [*texts, *(text for each in asked for text in (each.question, each.answer))]
    quoting = erasing.answered_from(session, {each.id for each in said}, texts)
    for feedback in said:
        _erase(ledger, session, feedback, actor)
    for feedback in erasing.repeating(session, texts, [each.id for each in quoting]):
        _erase_repetition(ledger, session, feedback, actor)
    for interaction in asked:
        erasing.blank_question(session, interaction)
    for interaction in quoting:
        interaction.answer = ""
        session.add(interaction)
    erasing.blank_shadows(session, texts)
    person = erasing.blank_person(session, person_id, ledger.clock())
    mail = erasing.blank_mail(session, person, words)
    digests = {"feedback": _over(said), "questions": _over(asked)}
    ledger.record(session, "person.erased", person_id, digests, actor=actor)
    return ErasedPerson(len(said), len(asked), mail)


def _erase_repetition(ledger: Ledger, session: Session, feedback: Feedback, actor: str) -> None:
    """Take an erased answer out of what somebody else said of it: a vote on it says nothing without it."""
    if feedback.kind == "correction":
        feedback.answer = ""
        session.add(feedback)
        ledger.record(session, "feedback.answer_erased", feedback.id, digests_of(feedback), actor=actor)
    else:
        _erase(ledger, session, feedback, actor)


def _erase(ledger: Ledger, session: Session, feedback: Feedback, actor: str) -> None:
    ledger.move(session, feedback, "erased", actor=actor)  # its record has the digest of what it said
    erasing.blank_feedback(session, feedback)


def _over(rows: Iterable[object]) -> str:
    return text_digest("\0".join(sorted(getattr(row, "id", "") for row in rows)))


# Retention


def enforce_retention(ledger: Ledger) -> int:
    """Erase the texts whose time is over by the policy; return how many."""
    rules, now = ledger.policy.retention, ledger.clock()
    erased = 0
    if rules.questions_days:
        before = now - timedelta(days=rules.questions_days)
        erased += _in_parts(ledger, lambda session: _forget_questions(ledger, session, before))
    if rules.feedback_days:
        due = now - timedelta(days=rules.feedback_days)
        erased += _in_parts(ledger, lambda session: _forget_feedback(ledger, session, due))
    return erased


def _in_parts(ledger: Ledger, forget: Callable[[Session], int]) -> int:
    total = 0
    while True:
        with ledger.changes() as session:
            done = forget(session)
        total += done
        if done < AT_ONCE:
            return total


def _forget_questions(ledger: Ledger, session: Session, before: datetime) -> int:
    rows = erasing.forgettable_questions(session, before, AT_ONCE)
    for row in rows:
        erasing.blank_question(session, row)
    if rows:
        ledger.record(session, "questions.erased", "retention", {"questions": _over(rows)}, actor=SYSTEM)
    return len(rows)


def _forget_feedback(ledger: Ledger, session: Session, before: datetime) -> int:
    rows = erasing.forgettable_feedback(session, before, AT_ONCE)
    for row in rows:
        _erase(ledger, session, row, SYSTEM)
    return len(rows)


# Adapters


def let_go(ledger: Ledger, session: Session, digest: str) -> Adapter:
    """Do to an adapter that learned from an erased person what the policy says; its `erased_at` says that it is out.

    One that answers stays until the next one replaces it where the policy has it so. The caller removes the files of
    one that is out.
    """
    adapter = find_adapter(session, digest)
    live, answers = adapter.state in {"approved", "canary", "serving"}, adapter.state in {"canary", "serving"}
    if adapter.erased_at is not None or (answers and ledger.policy.erasure.adapters == "retrain"):
        return adapter
    proposal = proposal_for(session, digest)
    if proposal is not None and proposal.state == "open":
        close(ledger, session, proposal, "void", SYSTEM)
    if live:
        take_out(ledger, session, adapter, SYSTEM, WHY)
    for pin in pins_to(session, digest):
        remove_pin(session, pin)
    adapter.erased_at = ledger.clock()
    session.add(adapter)
    ledger.record(session, "adapter.erased", digest, digests_of(adapter), actor=SYSTEM, reason=WHY)
    return adapter


def stop_runs(ledger: Ledger, session: Session, snapshots: Iterable[str]) -> list[Run]:
    """Ask that the runs on these snapshots be stopped for good; one that is interrupted is cancelled by this."""
    wanted = set(snapshots)
    runs = [run for run in list_runs(session, *ACTIVE) if run.snapshot_digest in wanted and run.cancelled_by is None]
    for run in runs:
        run.cancelled_by, run.cancel_reason = SYSTEM, WHY
        session.add(run)
        ledger.record(session, "run.cancel_requested", run.id, digests_of(run), actor=SYSTEM, reason=WHY)
        if run.state == "interrupted":
            run.error, run.finished_at = WHY, ledger.clock()
            ledger.move(session, run, "cancelled", actor=SYSTEM, reason=WHY)
    return runs
