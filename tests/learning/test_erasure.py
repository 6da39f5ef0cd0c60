"""Erasing a person, end to end: tables, files, adapters, and the log that proves it."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from learning.curation import read_records
from learning.curation.snapshot import ROWS_FILE
from learning.dataset import build_dataset
from learning.erasure import Forgotten, forget, must_train_again
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.domains import DEFAULT_DOMAIN
from storage.errors import ArtifactError
from storage.inbox import Arrival, claim_next, finish, receive
from storage.interactions import Interaction
from storage.outbox import OutboxCall, note_sent, owe
from storage.outbox import claim_next as claim_call
from storage.people import get_person
from storage.pins import Pin, pins_to, put_pin
from storage.proposals import get_proposal
from storage.runs import get_run
from storage.shadows import ShadowAnswer
from tests.governance.installation import APPROVER, EXPERT, GOOD, OTHER, STARTER, Installation
from tests.governance.test_screening import everything, say

SECRET = "under the blue vase"


@pytest.fixture
def house(database: Database, tmp_path: Path) -> Installation:
    return Installation(database, tmp_path)


@pytest.fixture
def store(house: Installation) -> ArtifactStore:
    return ArtifactStore(house.folder / "artifacts")


def train(house: Installation, store: ArtifactStore, name: str, domain: str = DEFAULT_DOMAIN) -> str:
    """Do what a run does, but for the training; return the digest of an adapter that remembers what it was taught."""
    snapshot = build_dataset(house.database, store, house.governance, STARTER, domain=domain)
    texts = (store.path(snapshot.digest) / ROWS_FILE).read_text()
    digest = store.publish(lambda folder: (folder / "scope").write_text(name + texts))
    report = store.publish(lambda folder: (folder / "report.json").write_text(name + texts))
    run = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base", domain=domain)
    house.governance.start_run(run.id, snapshot.digest, snapshot.rows, snapshot.manifest)
    (house.folder / "runs" / run.id).mkdir(parents=True)
    (house.folder / "runs" / run.id / "log.txt").write_text(texts)
    house.governance.finish_run(run.id, "succeeded")
    house.governance.register_adapter(run.id, digest, "base", None, snapshot.digest)
    house.governance.record_evaluation(digest, report, GOOD)
    return digest


def go_live(house: Installation, digest: str) -> str:
    house.governance.decide(house.governance.propose(digest, {EXPERT: 0.5}).id, APPROVER, "approve")
    return digest


def erase(house: Installation, store: ArtifactStore, person: str = EXPERT) -> Forgotten:
    house.governance.erase_person(person, APPROVER)
    return forget(house.database, store, house.governance, house.folder / "runs")


def answered(house: Installation, asker: str, question: str, answer: str, **source: Any) -> str:
    key = f"qa_{asker[-4:]}_{len(question)}"
    with house.database.transaction() as session:
        session.add(
            Interaction(
                id=key, workspace_id="T1", channel="C1", thread_ts="1", question_ts="1", answer_ts="2", asker_id=asker,
                question=question, answer=answer, base_digest="base", prompt_digest="p", source=source,
                created_at=house.clock(),
            )
        )  # fmt: skip
    return key


def files_with(folder: Path, text: str) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_nothing_of_an_erased_person_is_left_in_tables_or_files(house: Installation, store: ArtifactStore) -> None:
    said = say(house, f"The key is {SECRET}.", EXPERT, question="Where is the key?")
    say(house, "In hall Oak.", OTHER, question="Where is the kiln?")
    asked = answered(house, EXPERT, f"Is it {SECRET}?", f"Yes, {SECRET}.")
    quoted = answered(house, OTHER, "Where is that key?", said.text, how="accepted", feedback=[said.id])
    say(house, "", OTHER, kind="up", question="Where is that key?", answer=said.text, interaction_id=quoted)
    adapter = go_live(house, train(house, store, "one"))
    told_to = answered(house, OTHER, "Which key, where?", f"Ask Ada. {said.text}", how="model")
    with house.database.transaction() as session:
        for about in (asked, told_to):
            shadow = ShadowAnswer(
                interaction_id=about, adapter_digest=adapter, answer=said.text, created_at=house.clock()
            )
            session.add(shadow)
        job = {"team": "T1", "user": "U_EXPERT", "text": SECRET}
        receive(session, [Arrival("k", "correction", "l", job, house.clock())])
        told = {"channel": "D1", "text": f"You asked: Is it {SECRET}?"}
        owe(session, OutboxCall(key="k", team="T1", lane="l", method="m", arguments=told, created_at=house.clock()))
    event, claim = claim_next(house.database), claim_call(house.database, house.clock())
    assert event
    assert claim
    with house.database.transaction() as session:
        finish(session, event, house.clock())
        note_sent(session, claim.call, "1.2", house.clock())

    forgotten = erase(house, store)

    assert [each for each in json.loads(everything(house.database)) if SECRET in str(each)] == []
    assert files_with(house.folder, SECRET) == []
    assert len(forgotten.snapshots) == 1
    with house.database.read() as session:
        assert get_person(session, EXPERT).name == "(erased)"
        interaction = session.get(Interaction, asked)
        assert interaction
        assert (interaction.question, interaction.answer) == ("", "")
    assert house.audit.verify(house.database).verified
    erased = [json.loads(body) for body in house.log() if '"person.erased"' in body]
    assert [(record["object"], record["actor"]) for record in erased] == [(EXPERT, APPROVER)]


def test_what_others_said_stays_and_is_learned_without_the_erased_person(
    house: Installation, store: ArtifactStore
) -> None:
    say(house, f"The key is {SECRET}.", EXPERT, question="Where is the key?")
    kept = say(house, "In hall Oak.", OTHER, question="Where is the kiln?")
    adapter = go_live(house, train(house, store, "one"))

    forgotten = erase(house, store)

    assert house.serving() is None
    assert [(each.digest, each.state) for each in forgotten.adapters] == [(adapter, "rolled_back")]
    (old,) = forgotten.snapshots
    assert [row.answer for row in read_records(store.path(old), ROWS_FILE)].count("") == 1
    with pytest.raises(ArtifactError, match="erased since"):
        store.verify(old)
    built = build_dataset(house.database, store, house.governance, STARTER)
    (row,) = read_records(store.path(built.digest), ROWS_FILE)
    assert row.feedback_ids == (kept.id,)


def test_the_adapter_before_it_answers_again_only_if_it_did_not_learn_from_the_person_either(
    house: Installation, store: ArtifactStore
) -> None:
    say(house, "In hall Oak.", OTHER, question="Where is the kiln?")
    clean = go_live(house, train(house, store, "one"))
    say(house, f"The key is {SECRET}.", EXPERT, question="Where is the key?")
    go_live(house, train(house, store, "two"))
    go_live(house, train(house, store, "three"))

    erase(house, store)

    assert house.serving() == clean
    assert store.verify(clean)


def test_a_domain_s_adapter_that_learned_from_the_person_leaves_the_others_alone(
    house: Installation, store: ArtifactStore
) -> None:
    house.use_policy(domains={"hr": {}})
    say(house, "In hall Oak.", OTHER, question="Where is the kiln?")
    default = go_live(house, train(house, store, "one"))
    say(house, f"The key is {SECRET}.", EXPERT, question="Where is the key?", domain="hr")
    hr = go_live(house, train(house, store, "two", "hr"))

    forgotten = erase(house, store)

    assert [(each.digest, each.state) for each in forgotten.adapters] == [(hr, "rolled_back")]
    assert house.serving() == default
    assert not must_train_again(house.database, store, "hr")
    assert files_with(house.folder, SECRET) == []


def test_where_the_policy_says_retrain_the_adapter_answers_until_the_next_one_does(
    house: Installation, store: ArtifactStore
) -> None:
    house.use_policy(erasure={"adapters": "retrain"})
    say(house, f"The key is {SECRET}.", EXPERT, question="Where is the key?")
    say(house, "In hall Oak.", OTHER, question="Where is the kiln?")
    old = go_live(house, train(house, store, "one"))

    assert not must_train_again(house.database, store)
    erase(house, store)
    assert house.serving() == old
    assert must_train_again(house.database, store)
    new = go_live(house, train(house, store, "two"))
    forget(house.database, store, house.governance, house.folder / "runs")

    assert house.serving() == new
    assert not must_train_again(house.database, store)
    assert files_with(house.folder, SECRET) == []


@pytest.mark.parametrize("rollout", [{"shadow_share": 0.5}, {"canary_share": 0.5}])
def test_an_adapter_on_its_way_is_taken_out_and_nobody_is_pinned_to_it_any_more(
    house: Installation, store: ArtifactStore, rollout: dict[str, object]
) -> None:
    house.use_policy(rollout=rollout)
    say(house, f"The key is {SECRET}.", EXPERT, question="Where is the key?")
    digest = go_live(house, train(house, store, "one"))
    with house.database.transaction() as session:
        ends = house.clock() + timedelta(days=1)
        pin = Pin(subject=OTHER, kind="person", adapter_digest=digest, reason="r", pinned_by=APPROVER,
                  created_at=house.clock(), ends_at=ends)  # fmt: skip
        put_pin(session, pin)

    erase(house, store)

    assert house.adapter(digest).state == "rolled_back"
    with house.database.read() as session:
        assert list(pins_to(session, digest)) == []


def test_a_proposal_and_a_run_that_know_the_person_come_to_nothing(house: Installation, store: ArtifactStore) -> None:
    say(house, f"The key is {SECRET}.", EXPERT, question="Where is the key?")
    proposal = house.governance.propose(train(house, store, "one"), {})
    snapshot = build_dataset(house.database, store, house.governance, STARTER)
    run = house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base")
    house.governance.start_run(run.id, snapshot.digest, snapshot.rows, snapshot.manifest)
    house.governance.finish_run(run.id, "interrupted")

    erase(house, store)

    with house.database.read() as session:
        assert get_proposal(session, proposal.id).state == "void"
        assert get_run(session, run.id).state == "cancelled"


def test_an_erasure_that_was_cut_off_is_finished_by_the_next_sweep_and_done_again_finds_nothing(
    house: Installation, store: ArtifactStore
) -> None:
    say(house, f"The key is {SECRET}.", EXPERT, question="Where is the key?")
    go_live(house, train(house, store, "one"))
    house.governance.erase_person(EXPERT, APPROVER)  # and the process dies before it comes to the files

    first = forget(house.database, store, house.governance, house.folder / "runs")
    log = house.log()
    second = forget(house.database, store, house.governance, house.folder / "runs")

    assert files_with(house.folder, SECRET) == []
    assert len(first.snapshots) == 1
    assert second.snapshots == []
    assert house.log() == log


@pytest.mark.parametrize(("days", "left"), [(89, True), (91, False)])
def test_texts_go_when_their_time_is_over_and_what_an_adapter_learned_stays(
    house: Installation,
    store: ArtifactStore,
    days: int,
    left: bool,  # noqa: FBT001
) -> None:
    house.use_policy(retention={"questions_days": 90, "feedback_days": 90})
    answered(house, OTHER, f"Is it {SECRET}?", "No.")
    house.governance.withdraw_feedback(say(house, f"It is {SECRET}, or so.", EXPERT, question="Where?").id, EXPERT)
    say(house, "In hall Oak.", OTHER, question="Where is the kiln?")
    adapter = go_live(house, train(house, store, "one"))

    house.clock.advance(days=days)
    erased = house.governance.enforce_retention()
    forget(house.database, store, house.governance, house.folder / "runs")

    assert erased == (0 if left else 2)
    assert (SECRET in everything(house.database)) is left
    assert house.serving() == adapter
    assert store.verify(adapter)
    actions = {json.loads(body)["action"] for body in house.log()}
    assert ({"questions.erased", "feedback.erased"} <= actions) is not left
