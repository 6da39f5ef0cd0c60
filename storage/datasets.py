"""Dataset snapshots: which immutable set of rows an adapter was trained on. The rows lie in the artifact store."""

from datetime import datetime
from typing import Any

from sqlmodel import Field, Session, SQLModel

from storage.errors import NotFoundError
from storage.records import json_field, time_field


class DatasetSnapshot(SQLModel, table=True):
    """An immutable data set; `digest` (SHA-256, hex) names its content, `manifest` counts it and traces its rows."""

    __tablename__ = "dataset_snapshot"

    digest: str = Field(primary_key=True)
    row_count: int
    manifest: dict[str, Any] = json_field()
    created_at: datetime = time_field()


def get_snapshot(session: Session, digest: str) -> DatasetSnapshot:
    """Return the snapshot, or raise NotFoundError."""
    found = session.get(DatasetSnapshot, digest)
    if found is None:
        raise NotFoundError(f"there is no dataset snapshot {digest}.")
    return found
