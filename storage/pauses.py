"""Whether training is paused: at most one row, which says who paused it and until when."""

from datetime import datetime

from sqlmodel import Field, Session, SQLModel

from storage.records import time_field

TRAINING = "training"


class Pause(SQLModel, table=True):
    """What is paused, by whom (a person's id, or an operator's), and until when (None: until somebody resumes it)."""

    name: str = Field(primary_key=True)
    paused_by: str
    paused_at: datetime = time_field()
    ends_at: datetime | None = time_field(optional=True)


def current_pause(session: Session, now: datetime) -> Pause | None:
    """Return the pause that holds at this moment; one whose time is over holds no more."""
    pause = session.get(Pause, TRAINING)
    over = pause is not None and pause.ends_at is not None and pause.ends_at <= now
    return None if over else pause


def put_pause(session: Session, paused_by: str, now: datetime, ends_at: datetime | None) -> Pause:
    """Pause training; a pause that holds already is replaced."""
    pause = session.get(Pause, TRAINING) or Pause(name=TRAINING, paused_by=paused_by, paused_at=now)
    pause.paused_by, pause.paused_at, pause.ends_at = paused_by, now, ends_at
    session.add(pause)
    return pause


def lift_pause(session: Session, pause: Pause) -> None:
    """End a pause."""
    session.delete(pause)
