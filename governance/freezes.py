"""Freeze windows: times in which nothing goes live, such as a weekend or the end of a year. All times are UTC. Pure."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DATES = re.compile(r"(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})")
WEEKLY = re.compile(rf"({'|'.join(WEEKDAYS)}) (\d{{2}}:\d{{2}})\.\.({'|'.join(WEEKDAYS)}) (\d{{2}}:\d{{2}})")
HOW = "'2026-12-20..2027-01-02' (both days included) or 'fri 16:00..mon 07:00'"
MOST_WINDOWS = 100


def check_window(window: str) -> str:
    """Return a window as it is.

    Raises:
        ValueError: it is none, or ends before it begins.

    """
    dates, weekly = DATES.fullmatch(window), WEEKLY.fullmatch(window)
    if dates:
        first, last = (date.fromisoformat(each) for each in dates.groups())
        if last < first:
            raise ValueError(f"the freeze {window!r} ends before it begins")
    elif weekly:
        day, begins, last_day, ends = weekly.groups()
        if (day, time.fromisoformat(begins)) == (last_day, time.fromisoformat(ends)):
            raise ValueError(f"the freeze {window!r} has no length")
    else:
        raise ValueError(f"a freeze is written as {HOW}, not {window!r}")
    return window


def frozen_until(windows: Sequence[str], now: datetime) -> datetime | None:
    """Return when the freeze that holds now is over, with those that follow it; None when there is none."""
    until: datetime | None = None
    for _ in range(MOST_WINDOWS):
        ends = [end for window in windows if (end := _end(window, until or now)) is not None]
        if not ends:
            break
        until = max(ends)
    return until


def _end(window: str, now: datetime) -> datetime | None:
    """Return when a window ends, if it holds now."""
    if dates := DATES.fullmatch(window):
        first, last = (date.fromisoformat(each) for each in dates.groups())
        begin = datetime.combine(first, time(), UTC)
        end = datetime.combine(last, time(), UTC) + timedelta(days=1)
        return end if begin <= now < end else None
    weekly = WEEKLY.fullmatch(window)
    assert weekly is not None  # checked when the policy was read
    day, begins, last_day, ends = weekly.groups()
    begin = _latest(day, begins, now)
    end = begin + (_latest(last_day, ends, begin) + timedelta(days=7) - begin) % timedelta(days=7)
    return end if now < end else None


def _latest(day: str, at: str, now: datetime) -> datetime:
    """Return the latest moment up to now at which it was this weekday and time."""
    today = datetime.combine(now.date(), time.fromisoformat(at), UTC)
    found = today - timedelta(days=(now.weekday() - WEEKDAYS.index(day)) % 7)
    return found if found <= now else found - timedelta(days=7)
