"""What Slack shows of an adapter that is taken out, before and afterwards. Pure: values in, blocks and mrkdwn out."""

from collections.abc import Mapping
from typing import Any

from bot.slack import blocks, names
from governance.ledger import SYSTEM
from governance.roles import OPERATOR
from storage.adapters import Adapter
from storage.rollbacks import Rollback


def rollback_modal(
    adapter: Adapter, restored: Adapter | None, place: str, proposal_id: str, channel: str, message_ts: str
) -> dict[str, Any]:
    """Give the modal that says what a rollback does, and asks why; `place` says where the adapter answers."""
    return blocks.reason_modal(
        names.ROLLBACK_VIEW,
        "Roll this adapter back",
        "Roll back",
        "The reason is kept with the rollback, its digest in the audit log, and shown in the channel.",
        {"proposal_id": proposal_id, "channel": channel, "message_ts": message_ts},
        f"This takes adapter `{adapter.digest[:12]}` out at once and for good. Then "
        f"{_named(restored.digest if restored else None)} answers everybody{place}.",
    )


def rollback_text(rollback: Rollback, people: Mapping[str, str], place: str) -> str:
    """Say what happened, as mrkdwn; `people` has the actor's name, if that is a person."""
    adapter, restored = _named(rollback.adapter_digest), _named(rollback.restored_digest)
    how, why = _how(rollback, people), blocks.escape(rollback.reason)
    return f"{adapter.capitalize()} {how}; {restored} answers again{place}. {why}"


def taken_out(rollback: Rollback, people: Mapping[str, str]) -> str:
    """Say of an adapter that was named just before, as mrkdwn, how it was taken out and why."""
    return f"It {_how(rollback, people)}. {blocks.escape(rollback.reason)}"


def _how(rollback: Rollback, people: Mapping[str, str]) -> str:
    if rollback.actor == SYSTEM:
        return "was taken out by the policy's rules"
    return f"was rolled back by {blocks.escape(people.get(rollback.actor, rollback.actor.removeprefix(OPERATOR)))}"


def _named(digest: str | None) -> str:
    return f"adapter `{digest[:12]}`" if digest else "the base model"
