"""Adapters: what each is made of and where it stands. Their files lie in the artifact store under the same digest."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Index, text
from sqlmodel import Field, Session, SQLModel, col, select

from storage.domains import DEFAULT_DOMAIN
from storage.errors import NotFoundError
from storage.records import json_field, time_field

AdapterState = Literal[
    "candidate",
    "evaluated",
    "proposed",
    "approved",
    "rejected",
    "expired",
    "canary",
    "serving",
    "retired",
    "rolled_back",
]
LIVE = ("approved", "canary", "serving")
"""The states of an adapter that was approved and can be taken out: one that waits, or is in shadow, is `approved`."""
MIN_PREFIX = 6


def _only_one(state: AdapterState) -> Index:
    where = text(f"state = '{state}'")
    return Index(f"one_{state}_adapter", "domain", unique=True, sqlite_where=where, postgresql_where=where)


class Adapter(SQLModel, table=True):
    """One LoRA adapter; `digest` (SHA-256, hex) names its files. `gates` holds each gate's verdict and numbers.

    At most one adapter of a domain is `serving`, one in `canary` and one `approved`, which is in shadow: partial unique
    indexes hold that, whatever the code does. `shadow_since`, `canary_since`, `serving_since`: when it came there;
    `erased_at`: when its files were erased because it had learned from somebody who was (None: they are there).
    """

    __table_args__ = (_only_one("serving"), _only_one("canary"), _only_one("approved"))

    digest: str = Field(primary_key=True)
    state: str = Field(index=True)
    domain: str = Field(default=DEFAULT_DOMAIN, sa_column_kwargs={"server_default": DEFAULT_DOMAIN})
    run_id: str | None = Field(default=None, foreign_key="run.id", index=True)
    base_digest: str
    parent_digest: str | None = None
    snapshot_digest: str | None = Field(default=None, foreign_key="dataset_snapshot.digest")
    report_digest: str | None = None
    gates: list[dict[str, Any]] = json_field(list)
    created_at: datetime = time_field(index=True)
    shadow_since: datetime | None = time_field(optional=True)
    canary_since: datetime | None = time_field(optional=True)
    serving_since: datetime | None = time_field(optional=True)
    erased_at: datetime | None = time_field(optional=True)


def find_adapter(session: Session, reference: str) -> Adapter:
    """Return the adapter with this digest, or the only one whose digest starts with it (6 characters at least).

    Raises:
        NotFoundError: there is none, or more than one.

    """
    exact = session.get(Adapter, reference, with_for_update=True)
    if exact is not None:
        return exact
    matches = session.exec(select(Adapter).where(col(Adapter.digest).startswith(reference, autoescape=True))).all()
    if len(reference) < MIN_PREFIX or not matches:
        raise NotFoundError(f"there is no adapter {reference}. `apprentice adapters` lists them with their digests.")
    if len(matches) > 1:
        raise NotFoundError(f"{reference} fits {len(matches)} adapters; give more characters of the digest.")
    return matches[0]


def serving_adapter(session: Session, domain: str = DEFAULT_DOMAIN) -> Adapter | None:
    """Return the adapter of a domain that answers now; None while it has none."""
    return session.exec(select(Adapter).where(Adapter.state == "serving", Adapter.domain == domain)).first()


def canary_adapter(session: Session, domain: str = DEFAULT_DOMAIN) -> Adapter | None:
    """Return the approved adapter of a domain that a share of people gets for a while, if there is one."""
    return session.exec(select(Adapter).where(Adapter.state == "canary", Adapter.domain == domain)).first()


def shadow_adapter(session: Session, domain: str = DEFAULT_DOMAIN) -> Adapter | None:
    """Return the approved adapter of a domain whose answers nobody is shown yet, if there is one."""
    return session.exec(select(Adapter).where(Adapter.state == "approved", Adapter.domain == domain)).first()


def answering_adapter(session: Session, domain: str) -> Adapter | None:
    """Return the adapter that answers in a domain: its own, or that of the default one; None: the base model does."""
    return serving_adapter(session, domain) or serving_adapter(session)


def newest_adapter(session: Session, domain: str = DEFAULT_DOMAIN) -> Adapter | None:
    """Return the adapter of a domain that a rollback takes out: the one in shadow, the canary, or what serves."""
    return shadow_adapter(session, domain) or canary_adapter(session, domain) or serving_adapter(session, domain)


def last_retired_adapter(session: Session, domain: str = DEFAULT_DOMAIN) -> Adapter | None:
    """Return the adapter of a domain that served last among those that another one replaced and that is not erased."""
    query = select(Adapter).where(Adapter.state == "retired", Adapter.domain == domain)
    query = query.where(col(Adapter.erased_at).is_(None))
    return session.exec(query.order_by(col(Adapter.serving_since).desc(), col(Adapter.digest))).first()


def adapters_of_snapshots(session: Session, digests: Sequence[str]) -> list[Adapter]:
    """Return the adapters that were trained on these data sets, newest first."""
    query = select(Adapter).where(col(Adapter.snapshot_digest).in_(digests))
    return list(session.exec(query.order_by(col(Adapter.created_at).desc(), col(Adapter.digest))))


def adapters_of_run(session: Session, run_id: str) -> list[Adapter]:
    """Return the adapters that a run made; it is one, if any."""
    return list(session.exec(select(Adapter).where(Adapter.run_id == run_id)))


def trained_beside(session: Session, digest: str) -> list[Adapter]:
    """Return the adapters that were trained while this one served, newest first."""
    query = select(Adapter).where(Adapter.parent_digest == digest)
    return list(session.exec(query.order_by(col(Adapter.created_at).desc(), col(Adapter.digest))))


def list_adapters(session: Session, *states: AdapterState) -> list[Adapter]:
    """Return adapters in these states (all, when none is named), newest first."""
    query = select(Adapter).order_by(col(Adapter.created_at).desc(), col(Adapter.digest))
    return list(session.exec(query.where(col(Adapter.state).in_(states)) if states else query))
