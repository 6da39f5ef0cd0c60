"""Leases: which one process may run the bot on this database. A lease that is not renewed runs out by itself."""

from datetime import datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel

from storage.errors import AlreadyRunningError
from storage.records import time_field


class Lease(SQLModel, table=True):
    """Who holds the named lease, and until when."""

    name: str = Field(primary_key=True)
    holder: str
    description: str
    expires_at: datetime = time_field()


def acquire(session: Session, name: str, holder: str, description: str, *, now: datetime, length: timedelta) -> None:
    """Take or renew a lease; `description` tells a person where its holder runs.

    Raises:
        AlreadyRunningError: somebody else holds it.

    """
    lease = session.get(Lease, name, with_for_update=True)
    if lease is not None and lease.holder != holder and lease.expires_at > now:
        raise AlreadyRunningError(
            f"this database is in use by another Apprentice ({lease.description}). Stop that one first; "
            f"if it was killed, its claim runs out in {int((lease.expires_at - now).total_seconds()) + 1} s."
        )
    lease = lease or Lease(name=name, holder=holder, description=description, expires_at=now)
    lease.holder, lease.description, lease.expires_at = holder, description, now + length
    session.add(lease)
    try:
        session.flush()
    except IntegrityError as error:  # on PostgreSQL there was no row to lock, and another process has just made it
        raise AlreadyRunningError("another Apprentice is starting on this database at this moment.") from error


def release(session: Session, name: str, holder: str) -> None:
    """Give a lease back; does nothing when somebody else holds it."""
    lease = session.get(Lease, name, with_for_update=True)
    if lease is not None and lease.holder == holder:
        session.delete(lease)
