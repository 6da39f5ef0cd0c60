"""Dataset snapshots: which immutable set of rows an adapter was trained on. The rows lie in the artifact store."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, Session, SQLModel, col, select

from storage.errors import NotFoundError
from storage.records import json_field, time_field

LATEST = "latest"


class DatasetSnapshot(SQLModel, table=True):
    """An immutable data set; `digest` (SHA-256, hex) names its content, `manifest` counts it and traces its rows."""

    __tablename__ = "dataset_snapshot"

    digest: str = Field(primary_key=True)
    row_count: int
    manifest: dict[str, Any] = json_field()
    created_at: datetime = time_field()


def snapshot_digests(session: Session) -> list[str]:
    """Return the digests of all snapshots, the newest first."""
    query = select(DatasetSnapshot.digest).order_by(col(DatasetSnapshot.created_at).desc(), col(DatasetSnapshot.digest))
    return list(session.exec(query))


def get_snapshot(session: Session, digest: str) -> DatasetSnapshot:
    """Return the snapshot, or raise NotFoundError."""
    found = session.get(DatasetSnapshot, digest)
    if found is None:
        raise NotFoundError(f"there is no dataset snapshot {digest}.")
    return found


def find_snapshot(session: Session, reference: str) -> DatasetSnapshot:
    """Return the snapshot with this digest, the only one whose digest begins so, or the `latest`.

    Raises:
        NotFoundError: there is none, or several begin so.

    """
    query = select(DatasetSnapshot).order_by(col(DatasetSnapshot.created_at).desc(), col(DatasetSnapshot.digest))
    if reference != LATEST:
        query = query.where(col(DatasetSnapshot.digest).startswith(reference, autoescape=True))
    found = session.exec(query.limit(2)).all()
    if not found or not reference:
        what = "dataset snapshot yet" if reference == LATEST else f"dataset snapshot {reference}"
        raise NotFoundError(f"there is no {what}. `apprentice dataset build` makes one.")
    if len(found) > 1 and reference != LATEST:
        raise NotFoundError(f"several dataset snapshots begin with {reference}; give more of the digest.")
    return found[0]


def list_snapshots(session: Session) -> list[DatasetSnapshot]:
    """Return all data sets, newest first."""
    query = select(DatasetSnapshot).order_by(col(DatasetSnapshot.created_at).desc(), col(DatasetSnapshot.digest))
    return list(session.exec(query))
