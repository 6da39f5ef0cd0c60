"""What was erased in the database leaves the files too: snapshots, reports, adapters, and the folders of their runs.

The database says what is erased, so this can be done at any time and again: after an erasure, and every hour.
"""

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from governance.flows import Governance
from learning.curation.snapshot import (
    FILES,
    LEFT_OUT_FILE,
    ROWS_FILE,
    LeftOut,
    PreferencePair,
    Record,
    Row,
    Thumb,
    as_line,
    read_records,
)
from learning.taught import trained_on
from storage.adapters import Adapter, list_adapters, serving_adapter
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.datasets import snapshot_digests
from storage.domains import DEFAULT_DOMAIN
from storage.erasing import erased_feedback, feedback_of_erased
from storage.runs import ACTIVE, list_runs


@dataclass(frozen=True)
class Forgotten:
    """The snapshots that lost texts just now, and the adapters that learned from erased people, as they are now."""

    snapshots: list[str]
    adapters: list[Adapter]


def forget(database: Database, store: ArtifactStore, governance: Governance, run_folder: Path) -> Forgotten:
    """Take everything erased out of the files, and do to adapters what the policy says; blocks while it reads."""
    with database.read() as session:
        gone, of_people = erased_feedback(session), feedback_of_erased(session)
        snapshots, adapters = snapshot_digests(session) if gone else [], list_adapters(session)
    folders = {digest: store.root / digest for digest in snapshots if (store.root / digest / ROWS_FILE).exists()}
    taught = {digest for digest, folder in folders.items() if of_people and learned_from(folder, of_people)}
    learned = [adapter.digest for adapter in adapters if adapter.snapshot_digest in taught]
    after = governance.let_go(learned, taught) if taught else []
    _remove_runs(database, taught, run_folder)
    redacted = [digest for digest, folder in folders.items() if _redact(store, digest, folder, gone)]
    for adapter in after:
        if adapter.erased_at is not None:
            _remove_files(adapter, store)
    database.empty_log()
    return Forgotten(redacted, after)


def must_train_again(database: Database, store: ArtifactStore, domain: str = DEFAULT_DOMAIN) -> bool:
    """Tell whether a domain's adapter learned from somebody who was erased, so that a run has to replace it."""
    with database.read() as session:
        serving, of_people = serving_adapter(session, domain), feedback_of_erased(session)
    if serving is None or serving.snapshot_digest is None or not of_people:
        return False
    folder = store.root / serving.snapshot_digest
    return (folder / ROWS_FILE).exists() and learned_from(folder, of_people)


def learned_from(folder: Path, feedback_ids: Collection[str]) -> bool:
    """Tell whether a training on the snapshot in this folder learns from any of this feedback.

    The wording of a vote can be a row's, also where the vote itself was left out.
    """
    if any(each in feedback_ids for each in trained_on(folder)):
        return True
    left_out = any(item.feedback_id in feedback_ids for item in read_records(folder, LEFT_OUT_FILE))
    return left_out and any(row.wordings for row in read_records(folder, ROWS_FILE))


def _redact(store: ArtifactStore, digest: str, folder: Path, gone: Collection[str]) -> bool:
    """Take the texts of erased feedback out of a snapshot, unless that was done; return whether there were any."""
    named = any(each in gone for name in FILES for record in read_records(folder, name) for each in _ids(record))
    if not named:
        return False
    before = {name: (folder / name).read_bytes() for name in FILES}
    after = {name: b"".join(map(as_line, _without(folder, name, gone))) for name in FILES}
    if before == after:
        return False
    store.redact(digest, {name: content for name, content in after.items() if content != before[name]})
    return True


def _ids(record: Any) -> tuple[str, ...]:
    return (record.feedback_id,) if isinstance(record, LeftOut) else record.feedback_ids


def _without(folder: Path, name: str, gone: Collection[str]) -> Iterator[Record]:
    """Give the records of one file without erased texts; ids stay. Nobody knows whose a wording is, so they all go."""
    for record in read_records(folder, name):
        erased = any(each in gone for each in _ids(record))
        if isinstance(record, Row):
            row = replace(record, wordings=())
            yield replace(row, question="", answer="", person_ids=(), topic="") if erased else row
        elif erased and isinstance(record, PreferencePair):
            yield replace(record, question="", chosen="", rejected="")
        elif erased and isinstance(record, Thumb):
            yield replace(record, question="", answer="")
        else:
            yield record


def _remove_files(adapter: Adapter, store: ArtifactStore) -> None:
    """Remove an adapter that is out, which holds the questions that it was taught, and its report."""
    store.erase(adapter.digest)
    if adapter.report_digest:
        store.erase(adapter.report_digest)


def _remove_runs(database: Database, snapshots: Collection[str], run_folder: Path) -> None:
    """Remove the folders of the runs on these snapshots that have ended; those under way were asked to stop."""
    with database.read() as session:
        ended = [run for run in list_runs(session) if run.snapshot_digest in snapshots and run.state not in ACTIVE]
    for run in ended:
        shutil.rmtree(run_folder / run.id, ignore_errors=True)
