"""Which changes of state are legal, for whatever governance has states of. Every change asks here first."""

from collections.abc import Mapping
from typing import Literal

from storage.errors import IllegalStateError

Kind = Literal["adapter", "proposal", "break_glass", "run", "feedback", "policy"]

ADAPTER_MOVES: Mapping[str, frozenset[str]] = {
    "candidate": frozenset({"evaluated"}),
    "evaluated": frozenset({"rejected", "proposed"}),
    "proposed": frozenset({"rejected", "expired", "approved"}),
    "approved": frozenset({"canary", "rolled_back"}),
    "canary": frozenset({"serving", "rolled_back"}),
    "serving": frozenset({"retired", "rolled_back"}),
    "retired": frozenset({"serving"}),  # only by a rollback of the adapter that came after it
    "rejected": frozenset(),
    "expired": frozenset(),
    "rolled_back": frozenset(),
}

PROPOSAL_MOVES: Mapping[str, frozenset[str]] = {
    "open": frozenset({"approved", "rejected", "expired", "void"}),
    "approved": frozenset(),
    "rejected": frozenset(),
    "expired": frozenset(),
    "void": frozenset(),
}

BREAK_GLASS_MOVES: Mapping[str, frozenset[str]] = {
    "open": frozenset({"confirmed", "rolled_back"}),
    "confirmed": frozenset({"rolled_back"}),  # with its adapter, whatever the reason
    "rolled_back": frozenset(),
}

RUN_MOVES: Mapping[str, frozenset[str]] = {
    "queued": frozenset({"running", "cancelled", "failed", "interrupted"}),
    "running": frozenset({"succeeded", "failed", "cancelled", "interrupted"}),
    "interrupted": frozenset({"running", "cancelled", "failed"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}

FEEDBACK_MOVES: Mapping[str, frozenset[str]] = {
    "received": frozenset({"quarantined", "pending_review", "accepted", "withdrawn", "erased"}),
    "quarantined": frozenset({"accepted", "declined", "withdrawn", "erased"}),
    "pending_review": frozenset({"accepted", "declined", "withdrawn", "erased"}),
    "accepted": frozenset(
        {"pending_review", "quarantined", "withdrawn", "erased"}
    ),  # back, when it turns out to be disputed, or personal
    "declined": frozenset({"withdrawn", "erased"}),
    "withdrawn": frozenset({"erased"}),
    "erased": frozenset(),
}

POLICY_MOVES: Mapping[str, frozenset[str]] = {
    "proposed": frozenset({"in_force", "rejected", "expired", "void", "withdrawn"}),
    "in_force": frozenset({"superseded"}),  # by the one that comes in force
    "rejected": frozenset(),
    "expired": frozenset(),
    "void": frozenset(),
    "withdrawn": frozenset(),
    "superseded": frozenset(),
}

MOVES: Mapping[Kind, Mapping[str, frozenset[str]]] = {
    "adapter": ADAPTER_MOVES,
    "proposal": PROPOSAL_MOVES,
    "break_glass": BREAK_GLASS_MOVES,
    "run": RUN_MOVES,
    "feedback": FEEDBACK_MOVES,
    "policy": POLICY_MOVES,
}


def check_move(kind: Kind, old: str, new: str) -> None:
    """Refuse a change of state that the tables above do not list.

    Raises:
        IllegalStateError: the message names what would have been legal.

    """
    legal = MOVES[kind].get(old)
    if legal is None:
        raise IllegalStateError(
            f"'{old}' is no state that {kind} can have. The database was changed by something else."
        )
    if new not in legal:
        instead = ", ".join(sorted(legal)) or "nothing: that state is final"
        raise IllegalStateError(f"{kind} is '{old}' and cannot become '{new}'. What can follow: {instead}.")
