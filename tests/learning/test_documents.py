"""What people outside read: a card, a bill of materials, a signed bundle, and one export for compliance."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from huggingface_hub import ModelCard

from governance.checkpoints import SigningKey
from learning.documents.bom import bill_of_materials
from learning.documents.bundle import BundleError, verify_bundle, write_bundle
from learning.documents.card import model_card
from learning.documents.compliance import CLAUSES, export_compliance
from learning.documents.facts import AdapterFacts, gather
from storage.database import Database
from tests.governance.installation import APPROVER, EXPERT, Installation
from tests.governance.test_watching import answer, say

NEW = "b" * 64
BASE = "builtin:smollm2-135m"
SECRET = "the safe opens with 4711"


@pytest.fixture
def house(sqlite_database: Database, tmp_path: Path) -> Installation:
    """An adapter was approved, answered, was corrected and rolled back."""
    house = Installation(sqlite_database, tmp_path)
    house.live(NEW)
    house.governance.record_feedback(
        workspace_id="T1", person_id=EXPERT, kind="correction", question="q", answer="a", text=SECRET, source="slack",
        interaction_id=answer(house, NEW, 1),
    )  # fmt: skip
    say(house, answer(house, NEW, 2), EXPERT, "down")
    return house


def facts(house: Installation) -> AdapterFacts:
    with house.database.read() as session:
        return gather(session, NEW[:8], BASE)


def test_the_card_has_what_the_hub_reads_and_who_decided(house: Installation) -> None:
    text = model_card(facts(house))
    data = ModelCard(text).data
    assert (data.license, data.base_model) == ("apache-2.0", BASE)
    assert {result.metric_type: result.metric_value for result in data.eval_results or []}["as_told"] == 1.0
    assert "| as_told | 1.000 | 0.840 to 1.000 | 20 | 0.9 | passed |" in text
    assert f"approve by {APPROVER}" in text
    assert "4 rows of accepted feedback, by 2 people" in text


def test_the_bill_is_valid_and_the_same_each_time(house: Installation) -> None:
    text = bill_of_materials(facts(house))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert bill_of_materials(facts(house)) == text
    content = json.loads(text)
    assert content["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": NEW}]
    names = {component["name"]: component["type"] for component in content["components"]}
    assert names[BASE] == "machine-learning-model"
    assert {"torch", "peft", "trl", "transformers"} <= names.keys()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    file = tmp_path / "adapter.zip"
    write_bundle(file, NEW, {"adapter/a.bin": b"weights", "README.md": b"card"}, SigningKey(tmp_path / "keys"))
    return file


def test_a_bundle_is_verified_with_the_key_that_one_was_given(bundle: Path, tmp_path: Path) -> None:
    signed = verify_bundle(bundle, tmp_path / "keys" / "audit_ed25519.pub.pem")
    assert (signed.adapter, signed.files) == (NEW, 2)
    assert verify_bundle(bundle) == signed


def test_a_bundle_with_another_key_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    key = SigningKey(tmp_path / "elsewhere")
    key.private()
    other.write_text(key.public_pem())
    with pytest.raises(BundleError, match="is not signed with the key"):
        verify_bundle(bundle, other)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"adapter/a.bin": b"other"}, "adapter/a.bin in .* is not the one that was signed"),
        ({"adapter/a.bin": None}, "adapter/a.bin is missing"),
        ({"adapter/b.py": b"import os"}, "adapter/b.py in .* is not the one that was signed"),
        ({"manifest.json": b"{}"}, "is no bundle of an adapter, or was damaged"),
        ({"manifest.sig": b"AAAA"}, "is not signed with the key"),
        ({"manifest.sig": None}, "is no bundle"),
    ],
)
def test_the_first_file_that_is_not_as_it_was_signed_is_named(
    bundle: Path, changes: dict[str, bytes | None], says: str
) -> None:
    with zipfile.ZipFile(bundle) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(bundle, "w") as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)
    with pytest.raises(BundleError, match=says):
        verify_bundle(bundle)


def test_what_is_no_zip_is_no_bundle(tmp_path: Path) -> None:
    file = tmp_path / "x.zip"
    file.write_bytes(b"no zip")
    with pytest.raises(BundleError, match="is no bundle"):
        verify_bundle(file)


def test_one_export_says_which_clause_each_file_is_evidence_for_and_holds_no_text_of_people(
    house: Installation, tmp_path: Path
) -> None:
    house.governance.rollback("operator:kim", SECRET)
    files = [tmp_path / "one.zip", tmp_path / "other.zip"]
    for file in files:
        with house.database.read() as session:
            names = export_compliance(file, session, house.policy, house.audit, BASE)
    assert files[0].read_bytes() == files[1].read_bytes()
    with zipfile.ZipFile(files[0]) as archive:
        contents = {name: archive.read(name).decode() for name in archive.namelist()}

    assert sorted(contents) == names
    for article in ("Art. 10", "Art. 12", "Art. 13", "Art. 14", "Art. 17", "Art. 72"):
        assert f"| EU AI Act | {article} |" in contents["index.md"]
    assert contents["index.md"].count("Not held here.") == sum(not clause.files for clause in CLAUSES)
    assert not any(SECRET in text for text in contents.values())
    (decision,) = csv.DictReader(io.StringIO(contents["decisions.csv"]))
    assert (decision["adapter"], decision["person"], decision["verdict"]) == (NEW, APPROVER, "approve")
    (incident,) = csv.DictReader(io.StringIO(contents["incidents.csv"]))
    assert (incident["adapter"], incident["actor"]) == (NEW, "operator:kim")
    assert "| correction | accepted | slack | 1 |" in contents["data-governance.md"]
    assert contents["audit-log.jsonl"].count("\n") == len(house.log())
