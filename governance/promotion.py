"""How a proposal ends and what that does to its adapter and to the serving one, inside the caller's transaction."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlmodel import Session

from governance.freezes import frozen_until
from governance.ledger import SYSTEM, Ledger
from governance.pinning import drop_pins
from storage.adapters import (
    LIVE,
    Adapter,
    answering_adapter,
    canary_adapter,
    find_adapter,
    last_retired_adapter,
    newest_adapter,
    serving_adapter,
    shadow_adapter,
)
from storage.break_glass import break_glass_of
from storage.domains import DEFAULT_DOMAIN
from storage.errors import IllegalStateError
from storage.proposals import Proposal
from storage.records import new_id
from storage.rollbacks import Rollback

SUPERSEDED = "A newer adapter was approved before this one answered everybody."


def promote(ledger: Ledger, session: Session, proposal: Proposal, actor: str) -> bool:
    """Approve a proposal; its adapter begins with the first stage that the policy wants.

    Returns:
        Whether it serves.

    An earlier one of its domain in shadow or canary is taken out: of two new ones nobody could tell which is judged.

    """
    adapter = find_adapter(session, proposal.adapter_digest)
    for earlier in (shadow_adapter(session, adapter.domain), canary_adapter(session, adapter.domain)):
        if earlier is not None:
            _take_out(ledger, session, earlier, answering_adapter(session, adapter.domain), actor, SUPERSEDED)
    close(ledger, session, proposal, "approved", actor)
    return not thawing_at(ledger, session, adapter) and go_on(ledger, session, adapter, actor)


def thawing_at(ledger: Ledger, session: Session, adapter: Adapter) -> datetime | None:
    """Return until when the policy does not let the adapter go live, or on; None when it does now.

    A freeze does not hold one for which the glass was broken, where the policy wants that.
    """
    if ledger.policy.break_glass.through_freezes and break_glass_of(session, adapter.digest) is not None:
        return None
    return frozen_until(ledger.policy.rules_of(adapter.domain).rollout.freeze, ledger.clock())


def when_live(ledger: Ledger, session: Session, adapter: Adapter) -> str:
    """Say of an adapter that was approved, and does not serve yet, when it goes on; to be put behind what it is."""
    until = thawing_at(ledger, session, adapter)
    if until is not None:
        return f"goes live when the freeze is over, at {until:%Y-%m-%d %H:%M} UTC."
    return "begins with the first stage of its rollout now."


def go_on(ledger: Ledger, session: Session, adapter: Adapter, actor: str) -> bool:
    """Take an approved adapter, or a canary, to its next stage; return whether it serves then.

    Where it does, the one that served is retired.
    """
    rollout = ledger.policy.rules_of(adapter.domain).rollout
    if adapter.state == "approved":
        if rollout.shadow_share and adapter.shadow_since is None:
            adapter.shadow_since = ledger.clock()
            session.add(adapter)
            return False
        adapter.canary_since = ledger.clock()
        ledger.move(session, adapter, "canary", actor=actor)
        if rollout.canary_share:
            return False
    current = serving_adapter(session, adapter.domain)
    if current is not None:
        ledger.move(session, current, "retired", actor=actor)
    _serve(ledger, session, adapter, actor)
    return True


def is_due(ledger: Ledger, session: Session, adapter: Adapter) -> bool:
    """Whether an adapter has been in shadow, or a canary, for as long as the policy wants, and no freeze holds."""
    if thawing_at(ledger, session, adapter):
        return False
    rules = ledger.policy.rules_of(adapter.domain).rollout
    in_shadow = adapter.state == "approved"
    since, hours = (
        (adapter.shadow_since, rules.shadow_hours) if in_shadow else (adapter.canary_since, rules.canary_hours)
    )
    return since is None or ledger.clock() >= since + timedelta(hours=hours)


def roll_back(
    ledger: Ledger,
    session: Session,
    actor: str,
    reason: str,
    domain: str = DEFAULT_DOMAIN,
    figures: Mapping[str, Any] | None = None,
) -> Adapter | None:
    """Take a domain's newest adapter out; return the one that answers everybody there then (None: the base model).

    The newest is the one in shadow or the canary, if there is one; else the serving one, in whose place the one before
    it is put back, or what the default domain has where there is none. `figures` are what an automatic rollback rests
    on.

    Raises:
        IllegalStateError: the domain has no adapter that answers.

    """
    newest = newest_adapter(session, domain)
    if newest is None:
        raise IllegalStateError(_nothing_to_take_out(domain))
    return take_out(ledger, session, newest, actor, reason, figures)


def _nothing_to_take_out(domain: str) -> str:
    if domain == DEFAULT_DOMAIN:
        return "the base model serves already; there is nothing to roll back to."
    return f"the domain {domain} has no adapter of its own that answers; there is nothing to roll back."


def take_out(
    ledger: Ledger,
    session: Session,
    adapter: Adapter,
    actor: str,
    reason: str,
    figures: Mapping[str, Any] | None = None,
) -> Adapter | None:
    """Take out an adapter that is in shadow, a canary or serving; return the one that answers in its domain then."""
    restored = answers_without(session, adapter)
    _take_out(ledger, session, adapter, restored, actor, reason, figures)
    if restored is not None and restored.state == "retired":
        _serve(ledger, session, restored, actor)
    return restored


def answers_without(session: Session, adapter: Adapter) -> Adapter | None:
    """Return what answers everybody in an adapter's domain once that one is taken out; None: the base model."""
    if adapter.state != "serving":
        return answering_adapter(session, adapter.domain)
    previous = last_retired_adapter(session, adapter.domain)
    return previous or (serving_adapter(session) if adapter.domain != DEFAULT_DOMAIN else None)


def live_adapter(session: Session, digest: str) -> Adapter:
    """Return an adapter that can be taken out.

    Raises:
        IllegalStateError: it was not approved, or it does not answer any more.

    """
    adapter = find_adapter(session, digest)
    if adapter.state not in LIVE:
        instead = answering_adapter(session, adapter.domain)
        answers = f"adapter {instead.digest[:12]}" if instead else "the base model"
        raise IllegalStateError(
            f"adapter {digest[:12]} is {adapter.state.replace('_', ' ')} and {answers} answers, so there is nothing to "
            "roll back."
        )
    return adapter


def _take_out(
    ledger: Ledger,
    session: Session,
    adapter: Adapter,
    restored: Adapter | None,
    actor: str,
    reason: str,
    figures: Mapping[str, Any] | None = None,
) -> None:
    ledger.move(session, adapter, "rolled_back", actor=actor, reason=reason)
    drop_pins(ledger, session, adapter, actor)
    glass = break_glass_of(session, adapter.digest)
    if glass is not None:
        ledger.move(session, glass, "rolled_back", actor=actor, reason=reason)
    session.add(
        Rollback(
            id=new_id("rb"),
            adapter_digest=adapter.digest,
            restored_digest=restored.digest if restored else None,
            actor=actor,
            reason=reason,
            figures=dict(figures or {}),
            created_at=ledger.clock(),
        )
    )


def close(
    ledger: Ledger,
    session: Session,
    proposal: Proposal,
    state: Literal["approved", "rejected", "expired", "void"],
    actor: str,
) -> None:
    """Close a proposal, and its adapter with it; the adapter of a void proposal counts as expired."""
    proposal.closed_at = ledger.clock()
    ledger.move(session, proposal, state, actor=actor)
    adapter = find_adapter(session, proposal.adapter_digest)
    if adapter.state == "proposed":
        ledger.move(session, adapter, "expired" if state == "void" else state, actor=actor)
        if state != "approved":
            drop_pins(ledger, session, adapter, actor)


def close_if_stale(ledger: Ledger, session: Session, proposal: Proposal) -> str:
    """Return why a proposal takes no decisions, or nothing; one that has expired or become void is closed here."""
    why = why_closed(session, proposal, ledger.policy.digest, ledger.clock())
    if why and proposal.state == "open":
        close(ledger, session, proposal, "expired" if proposal.expires_at <= ledger.clock() else "void", SYSTEM)
    return why


def why_closed(session: Session, proposal: Proposal, policy_digest: str, now: datetime) -> str:
    """Say why a proposal takes no decisions: it was decided, its time is over, or what it is bound to has changed."""
    if proposal.state != "open":
        return f"this proposal is closed already: {proposal.state}."
    if proposal.expires_at <= now:
        return "this proposal has expired without enough decisions. `apprentice train` makes a new one."
    adapter = find_adapter(session, proposal.adapter_digest)
    bound = {
        "data set": (proposal.dataset_digest, adapter.snapshot_digest or ""),
        "report": (proposal.report_digest, adapter.report_digest or ""),
        "policy": (proposal.policy_digest, policy_digest),
        "adapter's state": ("proposed", adapter.state),
    }
    changed = [name for name, (then, today) in bound.items() if then != today]
    if not changed:
        return ""
    return f"this proposal is void: its {' and '.join(changed)} changed since. `apprentice train` makes a new one."


def _serve(ledger: Ledger, session: Session, adapter: Adapter, actor: str) -> None:
    adapter.serving_since = ledger.clock()
    ledger.move(session, adapter, "serving", actor=actor)
