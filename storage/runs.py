"""Training runs: queued, running, and how they ended."""

from datetime import datetime
from typing import Any, Literal

from sqlmodel import Field, Session, SQLModel, col, select

from storage.domains import DEFAULT_DOMAIN
from storage.errors import NotFoundError
from storage.records import JSON_TYPE, json_field, time_field

RunState = Literal["queued", "running", "succeeded", "failed", "cancelled", "interrupted"]
ACTIVE: tuple[RunState, ...] = ("queued", "running", "interrupted")


class Run(SQLModel, table=True):
    """One training run. `progress` is the latest event: phase, step, total, loss, seconds_left.

    `cancelled_by` asks whoever works on the run to stop, with `cancel_reason`; the state follows when it has stopped.
    `curve` is kept when training ends: pairs of a step and its loss, thinned out.
    """

    id: str = Field(primary_key=True)
    state: str = Field(index=True)
    started_by: str
    recipe: str
    domain: str = Field(default=DEFAULT_DOMAIN, sa_column_kwargs={"server_default": DEFAULT_DOMAIN})
    base_digest: str
    parent_digest: str | None = None
    snapshot_digest: str | None = Field(default=None, foreign_key="dataset_snapshot.digest")
    adapter_digest: str | None = None
    progress: dict[str, Any] = json_field()
    error: str = ""
    cancelled_by: str | None = None
    cancel_reason: str | None = None
    curve: list[list[float]] | None = Field(default=None, sa_type=JSON_TYPE, nullable=True)
    created_at: datetime = time_field(index=True)
    started_at: datetime | None = time_field(optional=True)
    finished_at: datetime | None = time_field(optional=True)


def get_run(session: Session, run_id: str) -> Run:
    """Return the run, or raise NotFoundError."""
    found = session.get(Run, run_id, with_for_update=True)
    if found is None:
        raise NotFoundError(f"there is no run {run_id}. `apprentice runs` lists them.")
    return found


def find_run(session: Session, run_id: str) -> Run | None:
    """Return the run as it is at this moment, without keeping others from changing it; None when there is none."""
    return session.get(Run, run_id)


def list_runs(session: Session, *states: RunState, domain: str | None = None) -> list[Run]:
    """Return runs in these states (all, when none is named), newest first; of one domain, or of all."""
    query = select(Run).order_by(col(Run.created_at).desc(), col(Run.id))
    if domain is not None:
        query = query.where(Run.domain == domain)
    return list(session.exec(query.where(col(Run.state).in_(states)) if states else query))


def runs_started_by(session: Session, person_id: str) -> list[Run]:
    """Return the runs that a person started, newest first."""
    query = select(Run).where(Run.started_by == person_id)
    return list(session.exec(query.order_by(col(Run.created_at).desc(), col(Run.id))))


def runs_on(session: Session, snapshot_digest: str) -> list[Run]:
    """Return the runs on a data set, newest first."""
    query = select(Run).where(Run.snapshot_digest == snapshot_digest)
    return list(session.exec(query.order_by(col(Run.created_at).desc(), col(Run.id))))
