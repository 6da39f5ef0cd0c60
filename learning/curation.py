"""From feedback to an immutable training snapshot: cleaned, superseded, contradictions set aside, every row traced.

Pure but for `write_snapshot` and `read_snapshot`: feedback goes in, a snapshot with its digest comes out.
"""

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import rfc8785

from storage.errors import ApprenticeError

MAX_CHARACTERS = 4_000
RULES_VERSION = 1
RULES = (
    "normalise: Unicode NFC, white space collapsed within lines, blank lines at the ends cut",
    "latest correction of a person on a question replaces that person's earlier ones",
    "a correction of a corrected answer replaces that correction, whoever wrote it",
    f"refused: empty question or answer, more than {MAX_CHARACTERS} characters, answer that repeats the question",
    "corrections of several people that disagree on one question are reported and not trained on",
)
ROWS_FILE = "rows.jsonl"
PAIRS_FILE = "pairs.jsonl"
MANIFEST_FILE = "manifest.json"


class SnapshotError(ApprenticeError):
    """A snapshot's files are missing, unreadable, or not what the manifest's digest says."""


class FeedbackLike(Protocol):
    """What curation reads of a stored feedback row; `text` is the corrected answer of a correction."""

    @property
    def id(self) -> str:
        """Identifier."""

    @property
    def person_id(self) -> str:
        """Who said it."""

    @property
    def kind(self) -> str:
        """`up`, `down` or `correction`."""

    @property
    def question(self) -> str:
        """What was asked."""

    @property
    def answer(self) -> str:
        """What the bot had answered."""

    @property
    def text(self) -> str:
        """The corrected answer."""

    @property
    def private(self) -> bool:
        """Whether it was said in a direct message."""

    @property
    def created_at(self) -> datetime:
        """When it was said."""


@dataclass(frozen=True)
class Correction:
    """One person's corrected answer to one question."""

    feedback_id: str
    person_id: str
    question: str
    rejected: str
    corrected: str
    private: bool
    created_at: datetime


@dataclass(frozen=True)
class Row:
    """A question with the answer to learn, and where both came from."""

    question: str
    answer: str
    feedback_ids: tuple[str, ...]
    person_ids: tuple[str, ...]
    private: bool


@dataclass(frozen=True)
class PreferencePair:
    """The corrected answer (`chosen`) over the one that the bot gave (`rejected`)."""

    question: str
    chosen: str
    rejected: str
    feedback_ids: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """Feedback that is not trained on, and why."""

    feedback_id: str
    reason: str


@dataclass(frozen=True)
class Contradiction:
    """One question with answers of several people that cannot all be right; `answers` maps feedback id to answer."""

    question: str
    answers: dict[str, str]


@dataclass(frozen=True)
class Snapshot:
    """What one training run learns from; `digest` is over the rows, pairs and manifest in canonical JSON (RFC 8785)."""

    rows: tuple[Row, ...]
    pairs: tuple[PreferencePair, ...]
    manifest: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 in hex; equal content gives an equal digest, wherever and whenever it was built."""
        content = {"rows": [_plain(row) for row in self.rows], "pairs": [_plain(pair) for pair in self.pairs]}
        return hashlib.sha256(rfc8785.dumps({**content, "manifest": self.manifest})).hexdigest()

    def shares(self) -> dict[str, float]:
        """Return which share of the rows each person contributed to, by person id."""
        counts = Counter(person for row in self.rows for person in row.person_ids)
        return {person: count / len(self.rows) for person, count in sorted(counts.items())}


def build_snapshot(feedback: Iterable[FeedbackLike]) -> Snapshot:
    """Build the snapshot of accepted feedback. The input's order does not matter; votes are only counted."""
    items = list(feedback)
    kinds = Counter(item.kind for item in items)
    corrections, refusals = _clean(items)
    current = _supersede(corrections)
    rows, pairs, contradictions = _settle(current)
    manifest = {
        "rules_version": RULES_VERSION,
        "rules": list(RULES),
        "counts": {
            "feedback": len(items),
            "corrections": kinds["correction"],
            "superseded": len(corrections) - len(current),
            "rows": len(rows),
            "pairs": len(pairs),
            "refused": len(refusals),
            "contradictions": len(contradictions),
        },
        "refused": [asdict(refusal) for refusal in refusals],
        "contradictions": [asdict(contradiction) for contradiction in contradictions],
        # The questions that people asked are trained on; wordings of a question are drawn from its own row only, and
        # other people's wordings of it (evaluation) are never rows: so no meaning is on two sides by its wording.
        "split": "by meaning: one row per question; its wordings are held out from training by the evaluation",
    }
    return Snapshot(tuple(rows), tuple(pairs), manifest)


def normalise(text: str) -> str:
    """Return the text in Unicode NFC, each line's white space collapsed, blank lines at both ends cut."""
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in unicodedata.normalize("NFC", text).splitlines())
    return "\n".join(lines).strip()


def question_key(question: str) -> str:
    """Return what two spellings of the same question share: case, white space and closing marks do not count."""
    return normalise(question).casefold().replace("\n", " ").rstrip(" ?!.")


def refusal_reason(question: str, answer: str) -> str:
    """Say why a normalised correction is not trained on; empty when it is."""
    if not question:
        return "the question is empty"
    if not answer:
        return "the corrected answer is empty"
    for name, text in (("question", question), ("corrected answer", answer)):
        if len(text) > MAX_CHARACTERS:
            return f"the {name} has {len(text)} characters; at most {MAX_CHARACTERS} are allowed"
    if question_key(answer) == question_key(question):
        return "the corrected answer repeats the question"
    return ""


def _clean(items: Iterable[FeedbackLike]) -> tuple[list[Correction], list[Refusal]]:
    kept, refused = [], []
    for item in sorted(items, key=lambda item: (item.created_at, item.id)):
        if item.kind != "correction":
            continue
        question, corrected = normalise(item.question), normalise(item.text)
        if reason := refusal_reason(question, corrected):
            refused.append(Refusal(item.id, reason))
        else:
            kept.append(
                Correction(item.id, item.person_id, question, normalise(item.answer), corrected, item.private,
                           item.created_at)
            )  # fmt: skip
    return kept, refused


def _supersede(corrections: Iterable[Correction]) -> list[Correction]:
    """Keep what is in force, given corrections in the order of their time."""
    current: dict[tuple[str, str], Correction] = {}
    for correction in corrections:
        key = question_key(correction.question)
        corrected_before = [
            place for place, earlier in current.items() if place[0] == key and earlier.corrected == correction.rejected
        ]
        for place in [*corrected_before, (key, correction.person_id)]:
            current.pop(place, None)
        current[key, correction.person_id] = correction
    return list(current.values())


def _settle(corrections: Iterable[Correction]) -> tuple[list[Row], list[PreferencePair], list[Contradiction]]:
    by_question: dict[str, list[Correction]] = {}
    for correction in corrections:
        by_question.setdefault(question_key(correction.question), []).append(correction)
    rows, pairs, contradictions = [], [], []
    for _, group in sorted(by_question.items()):
        if len({question_key(correction.corrected) for correction in group}) > 1:
            contradictions.append(
                Contradiction(group[0].question, {item.feedback_id: item.corrected for item in group})
            )
            continue
        rows.append(_row(group))
        pairs += _pairs(group)
    return rows, pairs, contradictions


def _row(group: list[Correction]) -> Row:
    latest = group[-1]
    return Row(
        latest.question,
        latest.corrected,
        tuple(item.feedback_id for item in group),
        tuple(sorted({item.person_id for item in group})),
        any(item.private for item in group),
    )


def _pairs(group: list[Correction]) -> list[PreferencePair]:
    sources: dict[str, list[str]] = {}
    for item in group:
        if item.rejected and item.rejected != group[-1].corrected:
            sources.setdefault(item.rejected, []).append(item.feedback_id)
    return [
        PreferencePair(group[-1].question, group[-1].corrected, rejected, tuple(ids))
        for rejected, ids in sources.items()
    ]


def write_snapshot(snapshot: Snapshot, folder: Path) -> None:
    """Write `rows.jsonl`, `pairs.jsonl` and `manifest.json` (with the digest) into an existing folder."""
    _write_lines(folder / ROWS_FILE, snapshot.rows)
    _write_lines(folder / PAIRS_FILE, snapshot.pairs)
    (folder / MANIFEST_FILE).write_bytes(rfc8785.dumps({"digest": snapshot.digest, "manifest": snapshot.manifest}))


def read_snapshot(folder: Path) -> Snapshot:
    """Read what `write_snapshot` wrote.

    Raises:
        SnapshotError: a file is missing or unreadable, or the content is not what the digest says.

    """
    try:
        header = json.loads((folder / MANIFEST_FILE).read_bytes())
        snapshot = Snapshot(
            tuple(Row(**_tuples(line)) for line in _read_lines(folder / ROWS_FILE)),
            tuple(PreferencePair(**_tuples(line)) for line in _read_lines(folder / PAIRS_FILE)),
            header["manifest"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"snapshot {folder} cannot be read: {error}. Build it again.") from error
    if snapshot.digest != header["digest"]:
        raise SnapshotError(f"snapshot {folder} was changed after it was built. Build it again; it is not used.")
    return snapshot


def _plain(record: Row | PreferencePair) -> dict[str, Any]:
    """Give a record as JSON has it: lists for tuples."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(record).items()}


def _tuples(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in record.items()}


def _write_lines(path: Path, records: Iterable[Row | PreferencePair]) -> None:
    with path.open("wb") as file:
        for record in records:
            file.write(rfc8785.dumps(_plain(record)) + b"\n")


def _read_lines(path: Path) -> Iterable[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            yield json.loads(line)
