"""Pauses of training: how long one may be, and what is said while it holds."""

import math
from datetime import datetime, timedelta

from sqlmodel import Session

from governance.errors import PauseLengthError
from storage.pauses import current_pause
from storage.people import names_of

MOST_HOURS = 24 * 365


def end_of_pause(now: datetime, hours: float | None) -> datetime | None:
    """Return when a pause of so many hours ends; None when it has no end.

    Raises:
        PauseLengthError: no hours at all, or more than a year.

    """
    if hours is None:
        return None
    if not math.isfinite(hours) or not 0 < hours <= MOST_HOURS:
        raise PauseLengthError(
            f"a pause has more than 0 hours and at most {MOST_HOURS:,}; without hours it has no end."
        )
    return now + timedelta(hours=hours)


def why_paused(session: Session, now: datetime) -> str:
    """Say that training is paused, by whom and until when; empty when it is not."""
    pause = current_pause(session, now)
    if pause is None:
        return ""
    who = names_of(session, [pause.paused_by]).get(pause.paused_by, pause.paused_by)
    until = f"until {pause.ends_at:%Y-%m-%d %H:%M} UTC" if pause.ends_at else "until somebody resumes it"
    return f"{who} paused training {until}. `/apprentice resume` in Slack ends the pause."
