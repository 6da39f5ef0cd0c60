"""Break-glass: in an emergency, one person whom the policy names takes a proposed adapter live without its quorum.

What the gates and the stages of a rollout guard stays. It is flagged for good, somebody else is told at once, and the
approvers confirm it afterwards with the votes that the proposal would have needed; else the adapter is taken out again.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from governance.approvals import Ballot
from governance.delegation import whose_vote
from governance.errors import NotEntitledError, ProposalClosedError, ReasonRequiredError
from governance.ledger import SYSTEM, Ledger, digests_of
from governance.policy import BreakGlassRules, Policy
from governance.promotion import close_if_stale, live_adapter, promote, take_out, when_live
from governance.reasons import check_reason
from governance.roles import why_lacking
from governance.user_groups import people_in, read_groups, read_principal, troubles
from governance.voting import cast_vote
from storage.adapters import find_adapter
from storage.break_glass import BreakGlass, get_break_glass, unconfirmed
from storage.errors import IllegalStateError
from storage.people import Person, get_person, person_id
from storage.proposals import Proposal, decisions_on, get_proposal
from storage.records import new_id

LEAST_REASON = 20
"""Characters: enough for a sentence that somebody who was not there understands."""
UNCONFIRMED = "It went live by break-glass, and the approvers did not confirm it in time."
UNDONE = "It went live by break-glass, and somebody who was told of it rolled it back."


@dataclass(frozen=True)
class Confirmation:
    """What somebody's confirmation led to; `missing` counts the approvals that are still needed."""

    glass: BreakGlass
    missing: int
    message: str


def break_glass(ledger: Ledger, proposal_id: str, person: str, reason: str) -> tuple[BreakGlass, str]:
    """Promote the adapter of an open proposal, whose gates were judged before it was proposed, without its quorum.

    Returns:
        What is kept of it, and what becomes of the adapter now.

    Raises:
        NotEntitledError: the policy does not name this person, or nobody else who could be told.
        ReasonRequiredError: no reason is given, or one of fewer than `LEAST_REASON` characters.
        ReasonTooLongError: longer than is kept.
        ProposalClosedError: decided, expired or void; a proposal that turns out to be so is closed here.

    """
    reason = check_reason(reason, "break the glass")
    if len(reason) < LEAST_REASON:
        raise ReasonRequiredError(f"to break the glass, say why in at least {LEAST_REASON} characters.")
    with ledger.changes() as session:
        proposal = get_proposal(session, proposal_id)
        if refusal := _why_not_break(session, ledger.policy, person, ledger.clock()):
            raise NotEntitledError(refusal)
        closed = close_if_stale(ledger, session, proposal)
        done = None if closed else _break(ledger, session, proposal, person, reason)
    if done is None:
        raise ProposalClosedError(closed)
    ledger.keep_checkpoint()
    return done


def confirm(ledger: Ledger, glass_id: str, person: str) -> Confirmation:
    """Count an approval that is given afterwards, with a vote of one's own or one that one holds.

    Approvals from before the glass was broken count too, that of whoever broke it does not.

    Raises:
        AlreadyDecidedError: this person, or whose vote they hold, has decided on the proposal before.
        IllegalStateError: it is confirmed already, or the adapter was rolled back.
        NotEntitledError: this person may not decide on the proposal.

    """
    with ledger.changes() as session:
        glass = _open(session, glass_id)
        proposal = get_proposal(session, glass.proposal_id)
        rules = ledger.policy.rules_of(find_adapter(session, glass.adapter_digest).domain)
        now = ledger.clock()
        whose = whose_vote(session, [rules], read_principal(session, person, now), now)
        if glass.person_id in {person, whose}:
            raise NotEntitledError("whoever broke the glass does not confirm it; somebody else has to.")
        cast_vote(ledger, session, [rules], proposal, person, "approve")
        decisions = [each for each in decisions_on(session, proposal.id) if glass.person_id not in each.people]
        ballot = Ballot.of(decisions, rules.approval)
        if not ballot.missing:
            ledger.move(session, glass, "confirmed", actor=person)
        message = ballot.message if ballot.missing else "Confirmed: the adapter stays."
    ledger.keep_checkpoint()
    return Confirmation(glass, ballot.missing, message)


def note_seen(ledger: Ledger, glass_id: str, person: str) -> BreakGlass:
    """Note that somebody who may judge it has seen it, which confirms nothing; the first one counts.

    Raises:
        NotEntitledError: this person is neither named in `break_glass.tell` nor an approver.

    """
    with ledger.changes() as session:
        glass = _for_judge(ledger, session, glass_id, person)
        if glass.seen_at is None:
            glass.seen_at = ledger.clock()
            session.add(glass)
            ledger.record(session, "break_glass.seen", glass.id, digests_of(glass), actor=person)
    return glass


def undo(ledger: Ledger, glass_id: str, person: str) -> BreakGlass:
    """Take the adapter out again, by somebody who may judge it.

    Raises:
        IllegalStateError: it is confirmed already, or the adapter is not live any more.
        NotEntitledError: this person is neither named in `break_glass.tell` nor an approver.

    """
    with ledger.changes() as session:
        glass = _for_judge(ledger, session, glass_id, person)
        adapter = live_adapter(session, _open(session, glass_id).adapter_digest)
        take_out(ledger, session, adapter, person, UNDONE)
    ledger.keep_checkpoint()
    return glass


def take_out_unconfirmed(ledger: Ledger) -> list[str]:
    """Take out the adapters that were not confirmed in time, and return their digests.

    One that a newer adapter replaced meanwhile stays where it is; should it ever answer again, it is taken out then.
    """
    with ledger.database.read() as session:  # without the turn of a writer, which is seldom needed
        if not unconfirmed(session, ledger.clock()):
            return []
    with ledger.changes() as session:
        adapters = [find_adapter(session, each.adapter_digest) for each in unconfirmed(session, ledger.clock())]
        for adapter in adapters:
            take_out(ledger, session, adapter, SYSTEM, UNCONFIRMED)
    ledger.keep_checkpoint()
    return [adapter.digest for adapter in adapters]


def _break(ledger: Ledger, session: Session, proposal: Proposal, person: str, reason: str) -> tuple[BreakGlass, str]:
    rules, now = ledger.policy.break_glass, ledger.clock()
    glass = BreakGlass(
        id=new_id("glass"),
        proposal_id=proposal.id,
        adapter_digest=proposal.adapter_digest,
        dataset_digest=proposal.dataset_digest,
        report_digest=proposal.report_digest,
        policy_digest=proposal.policy_digest,
        person_id=person,
        reason=reason,
        told=_whom_to_tell(session, rules, person, now),
        state="open",
        created_at=now,
        confirm_by=now + timedelta(hours=rules.confirm_hours),
    )
    session.add(glass)
    session.flush()
    ledger.record(session, "break_glass.used", glass.id, digests_of(glass), actor=person, reason=reason)
    promoted = promote(ledger, session, proposal, person)
    adapter = find_adapter(session, glass.adapter_digest)
    return glass, f"The adapter {'goes live now.' if promoted else when_live(ledger, session, adapter)}"


def _why_not_break(session: Session, policy: Policy, person: str, now: datetime) -> str:
    get_person(session, person)
    who, rules = read_principal(session, person, now), policy.break_glass
    if refusal := why_lacking(policy, "break_glass", who):
        return refusal
    if not _whom_to_tell(session, rules, person, now):
        nobody = "nobody else of break_glass.tell has used the bot yet, and somebody else has to be told."
        return " ".join([nobody, "Name one who has.", *troubles(rules.tell, who.groups)])
    return ""


def _whom_to_tell(session: Session, rules: BreakGlassRules, person: str, now: datetime) -> str:
    """Return the first of those who are to be told who is known and somebody else; "" when there is none."""
    workspace = person.partition("/")[0]
    for each in people_in(rules.tell, read_groups(session, now)):
        found = session.get(Person, each if "/" in each else person_id(workspace, each))
        if found is not None and found.id != person and found.erased_at is None:
            return found.id
    return ""


def _for_judge(ledger: Ledger, session: Session, glass_id: str, person: str) -> BreakGlass:
    glass = get_break_glass(session, glass_id)
    rules = ledger.policy.rules_of(find_adapter(session, glass.adapter_digest).domain)
    if person == glass.person_id:
        raise NotEntitledError("you broke the glass yourself; somebody else looks at it.")
    if refusal := why_lacking(rules, "answer_break_glass", read_principal(session, person, ledger.clock())):
        raise NotEntitledError(refusal)
    return glass


def _open(session: Session, glass_id: str) -> BreakGlass:
    glass = get_break_glass(session, glass_id)
    if glass.state != "open":
        raise IllegalStateError(f"this is {glass.state.replace('_', ' ')} already.")
    return glass
