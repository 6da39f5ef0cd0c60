"""From an answer to everything that it rests on, and from what somebody said to everything that it led to."""

from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from learning.curation import Row, Snapshot, write_snapshot
from learning.lineage import Lineage, Node
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.errors import NotFoundError
from tests.governance.installation import APPROVER, EXPERT, GOOD, OTHER, STARTER, Installation
from tests.governance.test_watching import answer, say

NEW = "b" * 64


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Installation:
    return Installation(database, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


@pytest.fixture
def told(house: Installation, store: ArtifactStore) -> str:
    """Somebody corrected an answer, an adapter learned it, was approved, and answered; return that answer."""
    corrected = say(house, answer(house, None, 1), EXPERT, "correction")
    row = Row("q", "right", (corrected, "fb_erased_since"), (EXPERT,), private=False)
    snapshot = store.publish(lambda folder: write_snapshot(Snapshot((row,), (), {}), folder))
    run = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    house.governance.start_run(run.id, snapshot, 1, {})
    house.governance.finish_run(run.id, "succeeded")
    house.governance.register_adapter(run.id, NEW, "base", None, snapshot)
    house.governance.record_evaluation(NEW, "report", GOOD)
    proposal = house.governance.propose(NEW, {EXPERT: 1.0})
    house.governance.decide(proposal.id, APPROVER, "approve")
    about = answer(house, NEW, 2)
    say(house, about, OTHER, "up")
    return about


def trace(house: Installation, store: ArtifactStore, reference: str, limit: int = 20) -> Node:
    with house.database.read() as session:
        return Lineage(session, store, limit).trace(reference)


def flat(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from flat(child)


def test_an_answer_is_traced_to_its_adapter_run_data_feedback_and_people(
    house: Installation, store: ArtifactStore, told: str
) -> None:
    found = trace(house, store, told)
    said = [f"{node.kind}: {node.said}" for node in flat(found)]

    assert (found.kind, found.id) == ("answer", told)
    assert f"to {OTHER} ({OTHER})" in found.said
    assert "adapter: serving, of domain default, gave 1 answers" in said
    assert any(each.startswith(f"run: succeeded, recipe default, started by {STARTER}") for each in said)
    assert any(each.startswith("data set: 1 rows") for each in said)
    assert any(each.startswith(f"feedback: correction by {EXPERT} ({EXPERT}), accepted") for each in said)
    assert "feedback: is not there any more" in said
    assert any(each.startswith(f"decision: approve by {APPROVER}") for each in said)
    assert any(each.startswith("proposal: approved, bound to report report and policy") for each in said)
    assert "audit record: adapter.serving by " + APPROVER in said
    assert any(each.startswith(f"feedback: up by {OTHER}") for each in said)


def test_feedback_and_a_person_are_traced_to_what_learned_from_them(
    house: Installation, store: ArtifactStore, told: str
) -> None:
    (correction,) = [node for node in flat(trace(house, store, EXPERT)) if node.said.startswith("correction")]
    up = trace(house, store, correction.id)

    assert [(node.kind, node.said) for node in up.children if node.kind == "adapter"] == [
        ("adapter", "learned from it; serving, gave 1 answers")
    ]
    assert [node.id for node in up.children if node.kind == "answer"] == ["qa_None_default_1"]
    assert [node.said for node in up.children if node.kind == "audit record"] == [f"feedback.accepted by {EXPERT}"]
    decided = [node.said for node in trace(house, store, APPROVER).children if node.kind == "decision"]
    assert len(decided) == 1
    assert decided[0].startswith("approve, ")
    assert [node.kind for node in trace(house, store, STARTER).children] == ["run"]


def test_a_digest_may_be_cut_short_and_of_what_is_many_some_are_shown(
    house: Installation, store: ArtifactStore, told: str
) -> None:
    for _ in range(3):
        say(house, told, OTHER, "up")
    shown = trace(house, store, told, limit=2)
    assert "and 2 more" in [node.said for node in shown.children]
    assert trace(house, store, NEW[:8]).id == NEW
    with pytest.raises(NotFoundError, match="nothing is called nobody"):
        trace(house, store, "nobody")


def test_a_data_set_whose_files_are_lost_says_so(house: Installation, store: ArtifactStore, told: str) -> None:
    rmtree(store.root)
    said = [node.said for node in flat(trace(house, store, told)) if node.kind == "data set"]
    assert said[0].endswith("; its files are not there any more")


def test_a_given_correction_is_an_answer_of_no_adapter(house: Installation, store: ArtifactStore) -> None:
    given = trace(house, store, answer(house, None, 5, how="accepted"))
    assert given.said.endswith("given as corrected")
    by_base = trace(house, store, answer(house, None, 6))
    assert by_base.said.endswith("answered by a model, which was the base model")
