"""A vote on an adapter or a policy that is proposed; on an adapter it counts the same after break-glass.

Whoever is an approver votes in their own name; whoever is none, and holds the vote of one, in that one's.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from governance.approvals import Electorate, Proposed, why_decided, why_not
from governance.delegation import is_approver, whose_vote
from governance.errors import AlreadyDecidedError, NotEntitledError
from governance.ledger import Ledger, digests_of
from governance.policy import Policy
from governance.user_groups import read_groups, read_principal
from storage.delegations import list_delegations
from storage.errors import ApprenticeError
from storage.people import get_person
from storage.policies import PolicyDecision, PolicyVersion, decisions_on_version
from storage.proposals import Decision, Verdict, decisions_on
from storage.records import new_id


def cast_vote(
    ledger: Ledger,
    session: Session,
    rules: Sequence[Policy],
    proposed: Proposed,
    person: str,
    verdict: Verdict,
    reason: str = "",
) -> None:
    """Keep what a person decides by the rules of the domains that are asked, with their own vote or one that they hold.

    Raises:
        AlreadyDecidedError: this person, or whose vote they hold, has decided before.
        NotEntitledError: this person may not decide on this.
        NotFoundError: there is no such person.

    """
    get_person(session, person)
    now = ledger.clock()
    whose = find_vote(session, rules, proposed, person, now)
    values: dict[str, Any] = {
        "id": new_id("dec"),
        "person_id": person,
        "on_behalf_of": whose,
        "verdict": verdict,
        "reason": reason,
        "created_at": now,
    }
    bound_to = {**digests_of(proposed), "on_behalf_of": whose}
    if isinstance(proposed, PolicyVersion):
        session.add(PolicyDecision(version_id=proposed.id, **values))
        ledger.record(session, f"policy_decision.{verdict}", proposed.id, bound_to, actor=person, reason=reason)
        return
    decision = Decision(proposal_id=proposed.id, **values)
    session.add(decision)
    bound_to["proposal"] = proposed.id
    ledger.record(session, f"decision.{verdict}", decision.id, bound_to, actor=person, reason=reason)


def find_vote(session: Session, rules: Sequence[Policy], proposed: Proposed, person: str, now: datetime) -> str | None:
    """Return whose vote a person decides with; None: their own.

    One vote in another's name is enough for all domains in which it counts, beside their own in the others.

    Raises:
        AlreadyDecidedError: this person, or whose vote they hold, has decided before.
        NotEntitledError: this person may not decide on this.

    """
    decisions, who = _decisions_on(session, proposed), read_principal(session, person, now)
    refusals: list[ApprenticeError] = []
    for whose in dict.fromkeys((whose_vote(session, rules, who, now), None)):
        asked = [each for each in rules if whose is None or not is_approver(each, who)]
        refused = [why_not(each, proposed, who, whose) for each in asked]
        if decided := why_decided(decisions, person, whose):
            refusals.append(AlreadyDecidedError(decided))
        elif "" not in refused:
            refusals.append(NotEntitledError(refused[0]))
        else:
            return whose
    raise refusals[0]


def why_not_vote(session: Session, rules: Sequence[Policy], proposed: Proposed, person: str, now: datetime) -> str:
    """Return why this person may not decide, with their own vote or one that they hold; empty when they may."""
    try:
        find_vote(session, rules, proposed, person, now)
    except (AlreadyDecidedError, NotEntitledError) as refusal:
        return str(refusal)
    return ""


def electorate_of(session: Session, rules: Policy, proposed: Proposed, now: datetime) -> Electorate:
    """Find who can still decide by the rules of a domain, and who in whose place."""
    counting = []
    for each in list_delegations(session, now):
        who = read_principal(session, each.delegate, now)
        if whose_vote(session, [rules], who, now) and not why_not(rules, proposed, who, each.delegator):
            counting.append(each)
    return Electorate.of(rules, proposed, _decisions_on(session, proposed), read_groups(session, now), counting)


def _decisions_on(session: Session, proposed: Proposed) -> Sequence[Decision | PolicyDecision]:
    if isinstance(proposed, PolicyVersion):
        return decisions_on_version(session, proposed.id)
    return decisions_on(session, proposed.id)
