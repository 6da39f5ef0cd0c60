"""Builds the snapshot of all accepted feedback, publishes it, sends contradictions to review; compares snapshots."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from governance.flows import Governance
from learning.curation import CONTRADICTIONS_FILE, ROWS_FILE, Progress, Row, curate, question_key, read_records
from learning.recipe import Method
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.domains import DEFAULT_DOMAIN
from storage.feedback import count_feedback, stream_accepted

CONTESTED_AT_ONCE = 500
"""Contradictions that are sent to review in one transaction."""


@dataclass(frozen=True)
class Dataset:
    """A published snapshot: its digest in the artifact store, its manifest, and how much it sent to review.

    `suspicious` counts what was sent there before it was built, as it looks like an attempt to steer the assistant.
    """

    digest: str
    manifest: dict[str, Any]
    sent_to_review: int
    suspicious: int = 0

    @property
    def rows(self) -> int:
        """How many rows it has to train on."""
        return int(self.manifest["counts"]["rows"])

    def lessons(self, method: Method) -> int:
        """Return how much of what a recipe's method learns from there is."""
        splits = self.manifest["splits"]
        pairs, thumbs = splits["pairs"].get("train", 0), splits["thumbs"].get("train", 0)
        known = {"sft": self.rows, "dpo": pairs, "kto": pairs + thumbs, "combined": self.rows + pairs + thumbs}
        return int(known[method])


def build_dataset(
    database: Database,
    store: ArtifactStore,
    governance: Governance,
    actor: str,
    tell: Progress = lambda *_: None,
    domain: str = DEFAULT_DOMAIN,
) -> Dataset:
    """Build, publish and register the snapshot of everything that is accepted now in a domain.

    The same feedback under the same policy gives the same digest. Feedback that was stored before the policy said what
    becomes of personal data, or said otherwise, is looked at first, as is what may be an attempt to steer the
    assistant.
    """
    manifest: dict[str, Any] = {}
    policy = governance.policy
    labels = policy.labels_of(domain)
    tell("looking for personal data", 0, 0)
    governance.screen_stored()
    suspicious = governance.look_for_poisoning()

    def write(folder: Path) -> None:
        with database.read() as session:
            total = count_feedback(session, "accepted", labels)
            accepted = stream_accepted(session, labels)
            manifest.update(curate(accepted, folder, policy.curation, tell, total, policy.privacy))

    digest = store.publish(write)
    tell("sending contradictions to review", 0, 0)
    sent = _send_to_review(governance, store.path(digest))
    governance.register_snapshot(digest, manifest["counts"]["rows"], manifest, actor)
    return Dataset(digest, manifest, sent, suspicious)


def _send_to_review(governance: Governance, folder: Path) -> int:
    sent = 0
    batch: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    for contradiction in read_records(folder, CONTRADICTIONS_FILE):
        batch.append((contradiction.feedback_ids, contradiction.stands))
        if len(batch) == CONTESTED_AT_ONCE:
            sent += governance.contest_feedback(batch)
            batch = []
    return sent + (governance.contest_feedback(batch) if batch else 0)


@dataclass(frozen=True)
class Change:
    """A row that only one of two snapshots has (None in the other), or that differs in its answer or wordings."""

    question: str
    before: Row | None
    after: Row | None

    @property
    def kind(self) -> Literal["added", "removed", "changed"]:
        """What happened to the row."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


def compare_rows(before: Path, after: Path) -> Iterator[Change]:
    """Give the rows that differ between two snapshots' folders, in the order of their questions.

    Rows lie in that order in the files, so both are read side by side, a row at a time.
    """
    sides = _keyed(before, 0), _keyed(after, 1)
    for _, same in groupby(merge(*sides, key=itemgetter(0)), key=itemgetter(0)):
        rows: dict[int, Row] = {side: row for _, side, row in same}
        old, new = rows.get(0), rows.get(1)
        if old is None or new is None or (old.answer, old.wordings) != (new.answer, new.wordings):
            yield Change((new or rows[0]).question, old, new)


def _keyed(folder: Path, side: int) -> Iterator[tuple[str, int, Row]]:
    return ((question_key(row.question), side, row) for row in read_records(folder, ROWS_FILE))
