"""A vote on a proposal, which counts the same before its adapter goes live and, after break-glass, afterwards."""

from sqlmodel import Session

from governance.approvals import why_decided
from governance.delegation import whose_vote, why_not_vote
from governance.errors import AlreadyDecidedError, NotEntitledError
from governance.ledger import Ledger, digests_of
from governance.policy import Policy
from storage.people import get_person
from storage.proposals import Decision, Proposal, Verdict, decisions_on
from storage.records import new_id


def cast_vote(
    ledger: Ledger, session: Session, rules: Policy, proposal: Proposal, person: str, verdict: Verdict, reason: str = ""
) -> list[Decision]:
    """Keep what a person decides by the rules of the adapter's domain, with their own vote or one that they hold.

    Returns:
        All decisions on the proposal, this one last.

    Raises:
        AlreadyDecidedError: this person, or whose vote they hold, has decided before.
        NotEntitledError: this person may not decide on this proposal.
        NotFoundError: there is no such person.

    """
    get_person(session, person)
    decisions = decisions_on(session, proposal.id)
    now = ledger.clock()
    whose = whose_vote(session, rules, person, now)
    if decided := why_decided(decisions, person, whose):
        raise AlreadyDecidedError(decided)
    if refusal := why_not_vote(session, rules, proposal, person, whose, now):
        raise NotEntitledError(refusal)
    decision = Decision(
        id=new_id("dec"),
        proposal_id=proposal.id,
        person_id=person,
        on_behalf_of=whose,
        verdict=verdict,
        reason=reason,
        created_at=now,
    )
    session.add(decision)
    bound_to = {**digests_of(proposal), "proposal": proposal.id, "on_behalf_of": whose}
    ledger.record(session, f"decision.{verdict}", decision.id, bound_to, actor=person, reason=reason)
    return [*decisions, decision]
