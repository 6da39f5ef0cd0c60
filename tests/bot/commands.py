"""The command line as a person meets it: what it prints, where, and its exit status."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.cli import main
from storage.database import Database


@dataclass(frozen=True)
class Result:
    """What a command left: exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """Standard error as one line."""
        return " ".join(self.err.split())


@dataclass(frozen=True)
class CommandLine:
    """A folder, an environment and a database in which commands run."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    @classmethod
    def start(cls, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "CommandLine":
        for name in [name for name in os.environ if name.upper().startswith("APPRENTICE_")]:
            monkeypatch.delenv(name)
        monkeypatch.chdir(folder)
        here = cls(folder, monkeypatch, capsys)
        here.set(DATA_FOLDER=str(folder / "data"), CACHE_FOLDER=str(folder / "cache"))
        monkeypatch.setenv("COLUMNS", "400")
        return here

    def set(self, **variables: str) -> None:
        """Set variables, named without their common beginning."""
        for name, value in variables.items():
            self.monkeypatch.setenv(f"APPRENTICE_{name}", value)

    def use(self, database: Database) -> None:
        self.set(DATABASE__URL=database.url.render_as_string(hide_password=False))

    def file(self, name: str, content: str | bytes) -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def __call__(self, *arguments: str) -> Result:
        self.monkeypatch.setattr(sys, "argv", ["apprentice", *arguments])
        self.capsys.readouterr()
        status: Any = 0
        try:
            main()
        except SystemExit as end:
            status = end.code
        captured = self.capsys.readouterr()
        return Result(int(status or 0), captured.out, captured.err)
