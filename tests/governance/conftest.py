"""An installation for each test of the rules."""

from pathlib import Path

import pytest

from storage.database import Database
from tests.governance.installation import Installation


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Installation:
    """An installation on each kind of database."""
    return Installation(database, tmp_path)


@pytest.fixture
def sqlite_house(sqlite_database: Database, tmp_path: Path) -> Installation:
    """An installation on SQLite, where the kind of database makes no difference."""
    return Installation(sqlite_database, tmp_path)
