"""When approvers are reminded of what is proposed and about to expire. Pure: reads nothing, writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from governance.approvals import Proposed


@dataclass(frozen=True)
class Reminder:
    """A reminder of the proposal of an adapter or of a policy, `hours` before it expires."""

    of: Literal["adapter", "policy"]
    proposal_id: str
    hours: float


def due_reminder(proposed: Proposed, hours_before: Sequence[float], now: datetime) -> float | None:
    """Return how many hours before the expiry the reminder is that is due and was not given; None when there is none.

    Of several that came due while nobody looked, only the latest: it says what the others would have said.
    """
    moments = {hours: proposed.expires_at - timedelta(hours=hours) for hours in hours_before}
    due = [hours for hours, moment in moments.items() if proposed.created_at < moment <= now < proposed.expires_at]
    latest = min(due, default=None)
    if latest is None or (proposed.reminded_hours is not None and proposed.reminded_hours <= latest):
        return None
    return latest
