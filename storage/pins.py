"""Pins: who gets a certain adapter, or the base model, whatever serves, for a while."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlmodel import Field, Session, SQLModel, col, select

from storage.domains import DEFAULT_DOMAIN
from storage.records import time_field

PinKind = Literal["person", "channel"]


class Pin(SQLModel, table=True):
    """One person or channel, and what answers there until `ends_at`; `adapter_digest` is None for the base model.

    `subject` is a person's id, or `<team id>/<channel id>`. `pinned_by` is a person's id, or an operator's. `domain` is
    the adapter's.
    """

    subject: str = Field(primary_key=True)
    kind: str
    adapter_digest: str | None = Field(default=None, foreign_key="adapter.digest", index=True)
    domain: str = DEFAULT_DOMAIN
    reason: str
    pinned_by: str
    created_at: datetime = time_field()
    ends_at: datetime = time_field()

    def holds_in(self, domain: str) -> bool:
        """Tell whether the pin concerns questions of a domain: what other domains taught an adapter stays in theirs."""
        return self.domain in {DEFAULT_DOMAIN, domain}


def pin_for(session: Session, person_id: str, channel: str, now: datetime, domain: str | None = None) -> Pin | None:
    """Return the pin that holds for a person in a channel (`<team id>/<channel id>`, or ""): their own goes first.

    With a `domain` only pins count that concern its questions.
    """
    known = [pin for subject in (person_id, channel) if (pin := session.get(Pin, subject)) is not None]
    holding = (pin for pin in known if pin.ends_at > now and (domain is None or pin.holds_in(domain)))
    return next(holding, None)


def list_pins(session: Session, now: datetime) -> list[Pin]:
    """Return the pins that hold, the one that ends first before the others."""
    query = select(Pin).where(col(Pin.ends_at) > now)
    return list(session.exec(query.order_by(col(Pin.ends_at), col(Pin.subject))))


def pins_to(session: Session, adapter_digest: str) -> Sequence[Pin]:
    """Return all pins to an adapter, also those whose time is over."""
    query = select(Pin).where(Pin.adapter_digest == adapter_digest)
    return session.exec(query.order_by(col(Pin.subject))).all()


def put_pin(session: Session, pin: Pin) -> Pin:
    """Keep a pin in place of the one that its person or channel had."""
    return session.merge(pin)


def remove_pin(session: Session, pin: Pin) -> None:
    """End a pin."""
    session.delete(pin)
