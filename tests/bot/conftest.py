"""A command line for each test."""

from pathlib import Path

import pytest

from storage.database import Database
from tests.bot.commands import CommandLine


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """A command line in an empty folder."""
    return CommandLine.start(tmp_path, monkeypatch, capsys)


@pytest.fixture
def apprentice(alone: CommandLine, sqlite_database: Database) -> CommandLine:
    """A command line on a migrated SQLite database, where the kind of database makes no difference."""
    alone.use(sqlite_database)
    return alone
