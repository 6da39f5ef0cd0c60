"""When approvers are reminded of a proposal that is about to expire. Pure: reads nothing, writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.proposals import Proposal


@dataclass(frozen=True)
class Reminder:
    """A reminder of one proposal, `hours` before it expires."""

    proposal_id: str
    hours: float


def due_reminder(proposal: Proposal, hours_before: Sequence[float], now: datetime) -> float | None:
    """Return how many hours before the expiry the reminder is that is due and was not given; None when there is none.

    Of several that came due while nobody looked, only the latest: it says what the others would have said.
    """
    moments = {hours: proposal.expires_at - timedelta(hours=hours) for hours in hours_before}
    due = [hours for hours, moment in moments.items() if proposal.created_at < moment <= now < proposal.expires_at]
    latest = min(due, default=None)
    if latest is None or (proposal.reminded_hours is not None and proposal.reminded_hours <= latest):
        return None
    return latest
