"""Everything leads back to what it rests on, and forward to what it led to."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import pytest
from sqlmodel import Session

from learning.curation import LeftOut, PreferencePair, Row, Snapshot, write_snapshot
from learning.erasure import forget
from learning.lineage import Direction, Node, Trace, trace
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.errors import NotFoundError
from storage.interactions import Interaction, get_interaction, keep_interaction
from tests.governance.installation import APPROVER, EXPERT, GOOD, OTHER, STARTER, Installation
from tests.governance.test_watching import answer, say

NEW = "b" * 64


@dataclass
class Told:
    """Somebody corrected an answer, an adapter learned it, was approved and answered; one answer quotes it."""

    house: Installation
    store: ArtifactStore
    corrected: str
    correction: str
    vote: str
    snapshot: str
    run: str
    given: str
    quoting: str

    def trace(self, what: str, *directions: Direction, limit: int | None = 10) -> Trace:
        with self.house.database.read() as session:
            return trace(session, self.store, what, limit=limit, directions=directions or ("back", "forward"))

    def answer_row(self, session: Session) -> Interaction:
        """Return the adapter's answer, to be changed."""
        return get_interaction(session, self.given)

    def back(self, what: str) -> list[Node]:
        return list(flat(self.trace(what).back or ()))

    def forward(self, what: str, limit: int | None = 10) -> list[Node]:
        return list(flat(self.trace(what, limit=limit).forward or ()))


def tell(house: Installation) -> Told:
    """Let that happen in a house."""
    store = ArtifactStore(house.folder / "artifacts")
    corrected = answer(house, None, 1)
    correction, vote = say(house, corrected, EXPERT, "correction"), say(house, corrected, OTHER, "down")
    rows = (Row("q", "right", (correction, "fb_erased_since"), (EXPERT,), private=False),)
    pairs = (PreferencePair("q", "right", "a", (correction,), "held_out"),)
    left_out = (LeftOut(vote, "corrected", "somebody corrected the answer"),)
    snapshot = store.publish(lambda folder: write_snapshot(Snapshot(rows, pairs, {}, left_out=left_out), folder))
    run = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    house.governance.start_run(run.id, snapshot, 1, {})
    house.governance.finish_run(run.id, "succeeded")
    house.governance.register_adapter(run.id, NEW, "base", None, snapshot)
    house.governance.record_evaluation(NEW, "report", GOOD)
    proposal = house.governance.propose(NEW, {EXPERT: 1.0})
    house.governance.decide(proposal.id, APPROVER, "approve")
    given, quoting = answer(house, NEW, 2), answer(house, None, 3, how="quoted")
    with house.database.transaction() as session:
        row = get_interaction(session, quoting)
        keep_interaction(
            session, Interaction(**{**row.model_dump(), "source": {**row.source, "feedback": [correction]}})
        )
    return Told(house, store, corrected, correction, vote, snapshot, run.id, given, quoting)


@pytest.fixture
def told(database: Database, tmp_path: Path) -> Told:
    return tell(Installation(database, tmp_path))


def flat(nodes: Collection[Node]) -> Iterator[Node]:
    for node in nodes:
        yield node
        yield from flat(node.children)


def ids(nodes: Collection[Node], *kinds: str) -> list[str]:
    return [node.id for node in nodes if node.kind in kinds]


def said(nodes: Collection[Node]) -> list[str]:
    return [f"{node.kind}: {node.said}" for node in nodes]


def test_an_answer_leads_back_to_its_adapter_run_rows_feedback_and_people(told: Told) -> None:
    back = told.back(told.given)
    words = said(back)

    assert f"to {OTHER} ({OTHER})" in told.trace(told.given).node.said
    assert f"person: {OTHER}, who asked" in words
    assert "adapter: serving, of domain default, gave 1 answers" in words
    assert any(each.startswith(f"run: succeeded, recipe default, started by {STARTER}") for each in words)
    assert any(each.startswith("data set: 1 rows") for each in words)
    assert "row: a question and its answer" in words
    assert any(each.startswith(f"feedback: correction by {EXPERT} ({EXPERT}), accepted") for each in words)
    assert "feedback: is not there any more" in words
    assert any(each.startswith(f"decision: approve by {APPROVER}") for each in words)
    assert any(each.startswith("proposal: approved, bound to report report and policy") for each in words)
    assert "audit record: adapter.serving by " + APPROVER in words
    assert ids(told.back(told.quoting), "feedback") == [told.correction]


def test_a_person_leads_forward_to_what_they_said_the_rows_the_run_the_adapter_and_its_answers(told: Told) -> None:
    forward = told.forward(EXPERT)

    assert ids(forward, "feedback") == [told.correction]
    assert ids(forward, "data set", "run", "adapter") == [told.snapshot, told.run, NEW]
    assert ids(forward, "row") == [f"{told.snapshot[:12]}/rows/1", f"{told.snapshot[:12]}/pairs/1"]
    assert told.given in ids(forward, "answer")
    assert told.trace(EXPERT).back == []
    decided = told.forward(APPROVER)
    assert [node.kind for node in decided] == ["decision", "adapter", "answer"]
    assert ids(told.forward(STARTER), "run", "adapter", "answer") == [told.run, NEW, told.given]
    assert set(ids(told.forward(OTHER), "answer")) == {told.corrected, told.given, told.quoting}


def test_each_thing_on_the_way_leads_to_its_neighbours_on_both_sides(told: Told) -> None:
    row = f"{told.snapshot[:12]}/rows/1"
    assert told.correction in ids(told.back(row), "feedback")
    assert ids(told.forward(row), "data set", "run", "adapter", "answer") == [told.snapshot, told.run, NEW, told.given]
    assert row in ids(told.back(told.snapshot), "row")
    assert ids(told.forward(told.snapshot[:8]), "run", "adapter", "answer") == [told.run, NEW, told.given]
    assert ids(told.back(told.run), "person", "data set") == [STARTER, told.snapshot]
    assert ids(told.forward(told.run), "adapter", "answer") == [NEW, told.given]
    assert ids(told.back(NEW[:8]), "run", "data set") == [told.run, told.snapshot]
    assert ids(told.forward(NEW), "answer") == [told.given]
    assert ids(told.back(told.correction), "answer", "person") == [told.corrected, EXPERT]
    assert ids(told.forward(told.correction), "answer") == [told.quoting, told.given]
    assert ids(told.forward(told.corrected), "feedback") == [told.correction, told.vote]
    assert ids(told.forward(told.corrected), "run", "adapter", "answer") == [told.run, NEW, told.given]


def test_what_no_training_learns_from_leads_to_no_adapter(told: Told) -> None:
    held_out, left_out = f"{told.snapshot[:12]}/pairs/1", f"{told.snapshot[:12]}/left_out/1"
    assert "held out: asked in evaluations, and not trained on" in told.trace(held_out).node.said
    assert told.trace(left_out).node.said == "left out by the rule “corrected”"
    for place in (held_out, left_out):
        assert [node.kind for node in told.forward(place)] == ["data set"]
    (data_set, _) = told.forward(told.vote)
    assert "1 with it, and not trained on" in data_set.said


def test_of_what_is_many_the_newest_are_shown_and_how_many_more(told: Told) -> None:
    given = [told.given, *(answer(told.house, NEW, number) for number in range(10, 20))]

    shown = told.forward(NEW, limit=4)
    assert ids(shown, "answer") == [*reversed(given[-4:]), ""]
    assert (shown[-1].said, shown[-1].more) == ("and 7 more", 7)
    on_the_way = told.forward(EXPERT)
    assert [node.more for node in on_the_way if node.kind == "answer"] == [0, 0, 0, 8]
    assert set(ids(told.forward(EXPERT, limit=None), "answer")) == set(given)


def test_what_was_shown_with_its_children_is_only_named_when_it_comes_again(told: Told) -> None:
    run = told.house.governance.queue_run(started_by=EXPERT, recipe="default", base_digest="base")
    told.house.governance.start_run(run.id, told.snapshot, 1, {})

    runs = [node for node in told.forward(EXPERT) if node.kind == "run" and node.id == run.id]

    assert [node.again for node in runs] == [False, True]


def test_what_was_erased_is_shown_as_erased(told: Told) -> None:
    told.house.governance.erase_person(EXPERT, "operator:kim")
    forget(told.house.database, told.store, told.house.governance, told.house.folder / "runs")

    back = told.back(told.given)
    erased = {node.kind for node in back if node.erased}
    assert erased == {"adapter", "data set", "row", "feedback"}
    assert any("its files were erased" in node.said for node in back if node.kind == "adapter")
    assert any("texts in it were erased" in node.said for node in back if node.kind == "data set")
    person = told.trace(EXPERT)
    assert (person.node.erased, "what they said was erased" in person.node.said) == (True, True)
    assert ids(list(flat(person.forward or ())), "adapter") == [NEW]
    quoting = told.trace(told.quoting).node
    assert (quoting.erased, quoting.said.endswith("its words were erased")) == (True, True)


def test_an_erased_question_no_longer_says_what_its_answer_rested_on(told: Told) -> None:
    told.house.governance.erase_person(OTHER, "operator:kim")

    assert ids(told.back(told.quoting), "feedback") == []
    assert told.quoting not in ids(told.forward(told.correction), "answer")


def test_only_the_side_that_is_asked_for_is_traced(told: Told) -> None:
    assert told.trace(NEW, "back").forward is None
    assert told.trace(NEW, "forward").back is None
    assert told.trace(NEW, "forward").as_dict().keys() == {"kind", "id", "said", "erased", "forward"}
    (node,) = told.trace(NEW, "forward").as_dict()["forward"]
    assert node.keys() == {"kind", "id", "said", "erased", "again", "more", "children"}


def test_what_is_unknown_or_not_readable_is_said(told: Told) -> None:
    for what in ("nobody", "T1/U_NOBODY", f"{told.snapshot[:12]}/words/1", f"{told.snapshot[:12]}/rows/x"):
        with pytest.raises(NotFoundError, match=f"nothing is called {what}"):
            told.trace(what)
    with pytest.raises(NotFoundError, match="has no rows/0; rows are counted from 1"):
        told.trace(f"{told.snapshot[:12]}/rows/0")
    rmtree(told.store.root)
    words = said(told.back(told.given))
    assert any(each.startswith("data set: ") and each.endswith("its files are not there any more") for each in words)
    assert "nobody can say what was in them" in told.forward(told.correction)[-1].said
    with pytest.raises(NotFoundError, match="cannot be read"):
        told.trace(f"{told.snapshot[:12]}/rows/1")


def test_an_answer_of_no_adapter_or_of_one_that_is_gone_says_so(told: Told) -> None:
    assert told.trace(answer(told.house, None, 5, how="accepted")).node.said.endswith("given as corrected")
    by_base = told.trace(answer(told.house, None, 6)).node
    assert by_base.said.endswith("answered by a model, which was the base model")
    gone = told.back(answer(told.house, "c" * 64, 7))
    assert ("adapter", "c" * 64, True) in [(node.kind, node.id, node.erased) for node in gone]
