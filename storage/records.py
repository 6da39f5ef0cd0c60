"""What all tables share: identifiers, column types and the clock."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from storage.database import UtcDateTime

Clock = Callable[[], datetime]
JSON_TYPE = JSON().with_variant(JSONB(), "postgresql")


def utc_now() -> datetime:
    """Return the present time in UTC; the default clock."""
    return datetime.now(UTC)


def new_id(prefix: str) -> str:
    """Make an identifier that nobody can guess, for example `run_3f9a0c12d4e5b6a7`."""
    return f"{prefix}_{secrets.token_hex(8)}"


def time_field(*, index: bool = False, optional: bool = False) -> Any:
    """Declare a column of `UtcDateTime`."""
    if optional:
        return Field(default=None, sa_type=UtcDateTime, index=index, nullable=True)
    return Field(sa_type=UtcDateTime, index=index)


def json_field(empty: type[dict[str, Any]] | type[list[Any]] = dict) -> Any:
    """Declare a JSON column (JSONB on PostgreSQL) that defaults to an empty object, or list."""
    return Field(default_factory=empty, sa_type=JSON_TYPE)
