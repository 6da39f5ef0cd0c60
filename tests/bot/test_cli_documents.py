"""The commands that write what people outside read."""

import json
import zipfile
from pathlib import Path

import pytest

from learning.base_model import BaseModel
from storage.artifacts import ArtifactStore
from storage.database import Database
from tests.bot.commands import CommandLine
from tests.bot.slack.tiny import make_tiny_model, write_tiny_adapter
from tests.governance.installation import Installation


@pytest.fixture
def adapter(apprentice: CommandLine, sqlite_database: Database, tmp_path: Path) -> str:
    base = BaseModel("tiny", make_tiny_model(tmp_path / "tiny"), "0" * 64, "")
    digest = ArtifactStore(tmp_path / "data" / "artifacts").publish(lambda folder: write_tiny_adapter(folder, base))
    return Installation(sqlite_database, tmp_path / "data").live(digest)


def test_an_adapter_is_handed_on_as_one_file_that_says_whether_it_was_changed(
    apprentice: CommandLine, adapter: str, tmp_path: Path
) -> None:
    assert f"# Adapter {adapter}" in apprentice("documents", "card", adapter[:12]).out
    assert json.loads(apprentice("documents", "bom", adapter[:12]).out)["bomFormat"] == "CycloneDX"
    file = tmp_path / "adapter.zip"
    assert "Wrote adapter" in apprentice("documents", "bundle", adapter[:12], str(file)).out

    said = apprentice("documents", "verify", str(file))
    assert f"Verified: adapter {adapter[:12]}" in said.out
    assert apprentice("documents", "verify", str(file), "--json").json["adapter"] == adapter

    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("adapter/more.py", "import os")
    changed = apprentice("documents", "verify", str(file))
    assert changed.status == 1
    assert "adapter/more.py" in changed.said


def test_one_file_for_compliance_begins_with_an_index(apprentice: CommandLine, adapter: str, tmp_path: Path) -> None:
    file = tmp_path / "compliance.zip"
    assert "begin with index.md" in apprentice("documents", "compliance", str(file)).out
    with zipfile.ZipFile(file) as archive:
        assert f"model-cards/{adapter}.md" in archive.namelist()
        assert "EU AI Act" in archive.read("index.md").decode()
