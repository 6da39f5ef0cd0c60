"""Delegation: an approver hands their vote to one named person until a date, and who votes with whose vote.

The vote stays the approver's: whether they still are one is looked at each time that it is used. It adds none either:
whoever is an approver themselves always votes in their own name, and a decision in somebody's name uses up the votes of
both. There are no chains: who holds a vote hands on none, not even their own.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session

from governance.errors import DelegationError, NotEntitledError
from governance.ledger import Ledger
from governance.policy import Policy
from governance.reasons import check_reason
from governance.roles import KINDS, why_lacking
from governance.user_groups import Principal, names, read_principal, troubles
from storage.delegations import Delegation, delegations_of, put_delegation, remove_delegation
from storage.domains import DEFAULT_DOMAIN
from storage.errors import NotFoundError
from storage.people import get_person
from storage.policies import draw_versions_again
from storage.proposals import draw_again


def delegate_vote(ledger: Ledger, delegator: str, delegate: str, ends_at: datetime, reason: str) -> Delegation:
    """Put the vote of `delegator`, who asks for it, into the hands of `delegate` (ids of people) until `ends_at`.

    Raises:
        DelegationError: not to this person, or not until then, or either has to do with another delegation.
        NotEntitledError: `delegator` is no approver, or the policy lets nobody hand on their vote there.
        NotFoundError: one of them is not known.
        ReasonRequiredError: no reason is given.
        ReasonTooLongError: longer than is kept.

    """
    reason = check_reason(reason, "hand on a vote")
    with ledger.changes() as session:
        now = ledger.clock()
        for person in (delegator, delegate):
            get_person(session, person)
        rules = _where_it_counts(session, ledger.policy, delegator, now)
        refusal = _why_not_to(session, rules, delegator, delegate, now) or _why_not_until(rules, now, ends_at)
        if refusal := refusal or _why_not_another(session, delegator, delegate, now):
            raise DelegationError(refusal)
        made = Delegation(delegator=delegator, delegate=delegate, reason=reason, created_at=now, ends_at=ends_at)
        _record(ledger, session, "delegation.set", made, f"until {ends_at.isoformat()}: {reason}")
        return put_delegation(session, made)


def revoke_delegation(ledger: Ledger, delegator: str) -> None:
    """Take a vote back, at the request of whose it is; what was decided with it stands.

    Raises:
        NotFoundError: they have handed it to nobody, or its time is over.

    """
    with ledger.changes() as session:
        held = delegations_of(session, delegator, ledger.clock())
        delegation = next((each for each in held if each.delegator == delegator), None)
        if delegation is None:
            raise NotFoundError(f"{delegator} has handed their vote to nobody.")
        _record(ledger, session, "delegation.revoked", delegation, "")
        remove_delegation(session, delegation)


def whose_vote(session: Session, rules: Sequence[Policy], who: Principal, now: datetime) -> str | None:
    """Return whose vote somebody holds by the rules of domains; None where they vote in their own name everywhere.

    They hold it by the rules of each of these domains in which its owner is an approver, and they are none.
    """
    held = next((each for each in delegations_of(session, who.id, now) if each.delegate == who.id), None)
    lacking = [each.approval for each in rules if not is_approver(each, who)]
    if held is None or not lacking:
        return None
    days = [each.delegation_days for each in lacking if names(each.approvers, held.delegator, who.groups)]
    return None if any(held.created_at + timedelta(days=each) <= now for each in days) else held.delegator


def is_approver(rules: Policy, who: Principal) -> bool:
    """Tell whether the rules of a domain have somebody as an approver."""
    return not why_lacking(rules, "decide", who)


def _where_it_counts(session: Session, policy: Policy, delegator: str, now: datetime) -> list[Policy]:
    """Return the rules of the domains in which a person is an approver who may hand on their vote; at least one."""
    domains = [policy.rules_of(domain) for domain in (DEFAULT_DOMAIN, *policy.domains)]
    who = read_principal(session, delegator, now)
    theirs = [rules for rules in domains if not why_lacking(rules, "delegate_vote", who)]
    if not theirs:
        approvers = [each for rules in domains for each in rules.approval.approvers]
        refusal = f"the policy {policy.name!r} does not name {delegator} as an approver."
        raise NotEntitledError(" ".join([refusal, *troubles(approvers, who.groups)]))
    found = [rules for rules in theirs if rules.approval.delegation_days]
    if not found:
        raise NotEntitledError(
            f"under the policy {policy.name!r} nobody hands on their vote; approval.delegation_days would allow it."
        )
    return found


def _why_not_to(session: Session, rules: list[Policy], delegator: str, delegate: str, now: datetime) -> str:
    if delegate == delegator:
        return f"{delegator} has that vote already; name somebody else."
    who = read_principal(session, delegate, now)
    if who.standing != "member":
        return (
            f"{delegate} cannot hold a vote: {KINDS[who.standing]} cannot be handed what the policy gives to members."
        )
    if all(is_approver(each, who) for each in rules):
        return f"{delegate} is an approver too, and one human has one vote; name somebody who is none."
    return ""


def _why_not_until(rules: list[Policy], now: datetime, ends_at: datetime) -> str:
    days = min(each.approval.delegation_days for each in rules)
    latest = now + timedelta(days=days)
    if now < ends_at <= latest:
        return ""
    return f"a vote is handed on for at most {days} days, so until a time from now to {latest:%Y-%m-%d %H:%M} UTC."


def _why_not_another(session: Session, delegator: str, delegate: str, now: datetime) -> str:
    """Say which other delegation stands in the way: one vote is in one pair of hands, and none goes on from there."""
    for person in (delegator, delegate):
        for other in delegations_of(session, person, now):
            return (
                f"{other.delegator} has handed their vote to {other.delegate} until "
                f"{other.ends_at:%Y-%m-%d %H:%M} UTC: everybody hands on one vote or holds one. Revoke that first."
            )
    return ""


def _record(ledger: Ledger, session: Session, action: str, delegation: Delegation, reason: str) -> None:
    """Note a change, with both names, and have those told of it who look at a proposal."""
    both = {"delegate": delegation.delegate}
    ledger.record(session, action, delegation.delegator, both, actor=delegation.delegator, reason=reason)
    draw_again(session)
    draw_versions_again(session)
