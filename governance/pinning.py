"""Pins: who may pin whom to which adapter, for how long, and when a pin ends by itself.

A pin is a comparison that people make on purpose, so its answers are no evidence in the sequential test.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from governance.errors import NotEntitledError, PinLengthError
from governance.ledger import Ledger
from governance.policy import Policy
from governance.reasons import check_reason
from governance.roles import Action, why_lacking
from governance.user_groups import Principal, read_principal
from storage.adapters import Adapter, AdapterState, find_adapter
from storage.channels import channel_settings
from storage.domains import DEFAULT_DOMAIN
from storage.errors import IllegalStateError, NotFoundError
from storage.pins import Pin, PinKind, pins_to, put_pin, remove_pin

BASE = "base"
"""What is written in place of an adapter's digest for the base model; no digest begins so."""
MOST_DAYS = 90
"""Long enough for any comparison; a pin that is forgotten keeps somebody from what was learned since."""
APPROVED: frozenset[AdapterState] = frozenset({"canary", "serving", "retired"})
PINNABLE: Mapping[PinKind, frozenset[AdapterState]] = {"person": APPROVED | {"proposed"}, "channel": APPROVED}
"""All of these passed their gates. One that waits for approval answers single people who try it, and no channel, where
people would get it whom nobody asked."""


@dataclass(frozen=True)
class Subject:
    """Who is pinned: the person with this id, or the channel `<team id>/<channel id>`."""

    kind: PinKind
    id: str


def set_pin(ledger: Ledger, subject: Subject, adapter: str, *, actor: str, reason: str, days: float) -> Pin:
    """Pin a person or a channel to an adapter (its digest, or the start of it; or `BASE`) for so many days.

    Raises:
        NotEntitledError: the policy does not let this person do that.
        PinLengthError: no days at all, or more than a pin may have.
        IllegalStateError: the adapter is in no state in which it may answer there, or of another domain.
        NotFoundError: there is no such adapter, or more than one.
        ReasonRequiredError: no reason is given.
        ReasonTooLongError: longer than is kept.

    """
    reason, now = check_reason(reason, "pin"), ledger.clock()
    ends_at = end_of_pin(now, days)
    with ledger.changes() as session:
        found = find_adapter(session, adapter) if adapter != BASE else None
        digest, domain = (found.digest, found.domain) if found is not None else (None, DEFAULT_DOMAIN)
        if refusal := why_not_pin(session, ledger.policy.rules_of(domain), subject, actor, now):
            raise NotEntitledError(refusal)
        refusal = why_not_pinnable(found, subject.kind) if found is not None else ""
        if refusal := refusal or _why_not_there(session, ledger.policy, subject, domain):
            raise IllegalStateError(refusal)
        pin = Pin(
            subject=subject.id,
            kind=subject.kind,
            adapter_digest=digest,
            domain=domain,
            reason=reason,
            pinned_by=actor,
            created_at=now,
            ends_at=ends_at,
        )
        until = f"until {ends_at.isoformat()}: {reason}"
        ledger.record(session, "pin.set", subject.id, {"adapter": digest}, actor=actor, reason=until)
        return put_pin(session, pin)


def lift_pin(ledger: Ledger, subject_id: str, actor: str) -> None:
    """End a pin: anybody's by an operator, one's own by whoever is pinned, also when an operator had set it.

    Raises:
        NotEntitledError: somebody else is pinned.
        NotFoundError: nobody is pinned there.

    """
    with ledger.changes() as session:
        action: Action = "unpin_self" if subject_id == actor else "unpin_others"
        if refusal := why_lacking(ledger.policy, action, Principal(actor)):
            raise NotEntitledError(f"you can end your own pin only; {refusal}")
        pin = session.get(Pin, subject_id)
        if pin is None or pin.ends_at <= ledger.clock():
            raise NotFoundError(f"{subject_id} is not pinned.")
        _end(ledger, session, pin, actor, "")


def drop_pins(ledger: Ledger, session: Session, adapter: Adapter, actor: str) -> None:
    """End all pins to an adapter that must not answer any more; `adapter` has its new state already."""
    for pin in pins_to(session, adapter.digest):
        _end(ledger, session, pin, actor, f"the adapter is {adapter.state}")


def end_of_pin(now: datetime, days: float) -> datetime:
    """Return when a pin of so many days ends.

    Raises:
        PinLengthError: no days at all, or more than `MOST_DAYS`.

    """
    if not math.isfinite(days) or not 0 < days <= MOST_DAYS:
        raise PinLengthError(f"a pin lasts more than 0 and at most {MOST_DAYS} days; set it again to prolong it.")
    return now + timedelta(days=days)


def why_not_pin(session: Session, policy: Policy, subject: Subject, actor: str, now: datetime) -> str:
    """Return why somebody may not pin this person or channel by the rules of a domain; empty when they may.

    An operator may pin anybody; a person themselves, if the policy names them in `rollout.pins_by`.
    """
    if subject.id == actor:
        return why_lacking(policy, "pin_self", read_principal(session, actor, now))
    refusal = why_lacking(policy, "pin_others", Principal(actor))
    return f"you can pin yourself only; {refusal}" if refusal else ""


def why_not_pinnable(adapter: Adapter, kind: PinKind) -> str:
    """Return why an adapter may not answer whoever is pinned to it; empty when it may."""
    if adapter.state in PINNABLE[kind]:
        return ""
    which = ", ".join(sorted(PINNABLE[kind]))
    return f"adapter {adapter.digest[:12]} is {adapter.state}; a {kind} is pinned to adapters in these states: {which}."


def _why_not_there(session: Session, policy: Policy, subject: Subject, domain: str) -> str:
    """Say why the adapter of a domain never answers in a channel; a person it answers in its own domain."""
    if subject.kind == "person" or domain == DEFAULT_DOMAIN:
        return ""
    workspace, _, channel = subject.id.partition("/")
    there = policy.domain_of(channel_settings(session, workspace, channel).domain)
    if there == domain:
        return ""
    return f"the adapter is of the domain {domain} and answers there only; the channel's domain is {there}."


def _end(ledger: Ledger, session: Session, pin: Pin, actor: str, reason: str) -> None:
    remove_pin(session, pin)
    ledger.record(session, "pin.lifted", pin.subject, {"adapter": pin.adapter_digest}, actor=actor, reason=reason)
