"""The immutable snapshot that a training run learns from: its records, its files and its digest."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import rfc8785

from storage.errors import ApprenticeError

ROWS_FILE = "rows.jsonl"
PAIRS_FILE = "pairs.jsonl"
THUMBS_FILE = "thumbs.jsonl"
CONTRADICTIONS_FILE = "contradictions.jsonl"
LEFT_OUT_FILE = "left_out.jsonl"
MANIFEST_FILE = "manifest.json"

Split = Literal["train", "held_out"]
Rule = Literal[
    "refused",
    "private",
    "superseded",
    "contradiction",
    "divided",
    "outvoted",
    "corrected",
    "person_share",
    "group_share",
    "topic_share",
]
"""Why feedback is not trained on; RULES in writing.py says what each means."""


class SnapshotError(ApprenticeError):
    """A snapshot's files are missing, unreadable, or not what the manifest's digest says."""


@dataclass(frozen=True)
class Row:
    """A question with the answer to learn, and where both came from.

    `wordings` are other questions of people that ask the same; `topic` is a word that several questions share, or "".
    """

    question: str
    answer: str
    feedback_ids: tuple[str, ...]
    person_ids: tuple[str, ...]
    private: bool
    wordings: tuple[str, ...] = ()
    topic: str = ""


@dataclass(frozen=True)
class PreferencePair:
    """An answer that people prefer (`chosen`) over another one (`rejected`).

    By a correction, by their votes on each, or by a choice between the two.
    """

    question: str
    chosen: str
    rejected: str
    feedback_ids: tuple[str, ...]
    split: Split = "train"


@dataclass(frozen=True)
class Thumb:
    """An answer that people liked or not, with no other answer to hold it against."""

    question: str
    answer: str
    liked: bool
    feedback_ids: tuple[str, ...]
    split: Split = "train"


@dataclass(frozen=True)
class Contradiction:
    """Corrections of one question that cannot all be right; `stands` are those that a reviewer had accepted before."""

    feedback_ids: tuple[str, ...]
    stands: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """Feedback that is not trained on, by which rule, and why in words."""

    feedback_id: str
    rule: Rule
    reason: str


Record = Row | PreferencePair | Thumb | Contradiction | LeftOut
FILES: Mapping[str, type[Record]] = {
    ROWS_FILE: Row,
    PAIRS_FILE: PreferencePair,
    THUMBS_FILE: Thumb,
    CONTRADICTIONS_FILE: Contradiction,
    LEFT_OUT_FILE: LeftOut,
}
FILE_OF: Mapping[type[Record], str] = {kind: name for name, kind in FILES.items()}


@dataclass(frozen=True)
class Snapshot:
    """What one training run learns from; equal content has an equal digest, wherever and whenever it was built."""

    rows: tuple[Row, ...]
    pairs: tuple[PreferencePair, ...]
    manifest: dict[str, Any]
    thumbs: tuple[Thumb, ...] = ()
    contradictions: tuple[Contradiction, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 in hex over the manifest and the digests of the five files, in canonical JSON (RFC 8785)."""
        files = {name: lines_digest(records) for name, records in self.files().items()}
        return content_digest(files, self.manifest)

    def files(self) -> dict[str, tuple[Record, ...]]:
        """Map each file's name to its records."""
        contents = (self.rows, self.pairs, self.thumbs, self.contradictions, self.left_out)
        return dict(zip(FILES, contents, strict=True))

    def shares(self) -> dict[str, float]:
        """Return which share of the rows each person contributed to, by person id."""
        counts = Counter(person for row in self.rows for person in row.person_ids)
        return {person: count / len(self.rows) for person, count in sorted(counts.items())}


class SnapshotFile:
    """One file of a snapshot while it is written: a record a line, counted, and digested as it goes."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self.count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, record: Record) -> None:
        """Add a record."""
        line = as_line(record)
        self._file.write(line)
        self._digest.update(line)
        self.count += 1

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of what was written so far."""
        return self._digest.hexdigest()


def as_line(record: Record) -> bytes:
    """Give a record as one line of JSON: compact, keys sorted, UTF-8."""
    return json.dumps(vars(record), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def lines_digest(records: Iterable[Record]) -> str:
    """Return the SHA-256, in hex, of the file that these records make."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(as_line(record))
    return digest.hexdigest()


def content_digest(files: Mapping[str, str], manifest: Mapping[str, Any]) -> str:
    """Return what names a snapshot's content: SHA-256, in hex, over the manifest and the files' digests."""
    content: Any = {"files": dict(files), "manifest": dict(manifest)}
    return hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def write_manifest(folder: Path, files: Mapping[str, str], manifest: Mapping[str, Any]) -> str:
    """Write the file that closes a snapshot; return the snapshot's digest."""
    digest = content_digest(files, manifest)
    content: Any = {"digest": digest, "files": dict(files), "manifest": dict(manifest)}
    (folder / MANIFEST_FILE).write_bytes(rfc8785.dumps(content))
    return digest


def write_snapshot(snapshot: Snapshot, folder: Path) -> None:
    """Write the snapshot's files into an existing folder."""
    digests = {}
    for name, records in snapshot.files().items():
        with SnapshotFile(folder / name) as file:
            for record in records:
                file.write(record)
        digests[name] = file.digest
    write_manifest(folder, digests, snapshot.manifest)


def read_snapshot(folder: Path) -> Snapshot:
    """Read what `write_snapshot` or a build wrote.

    Raises:
        SnapshotError: a file is missing or unreadable, or the content is not what the digest says.

    """
    try:
        header = json.loads((folder / MANIFEST_FILE).read_bytes())
        contents: Any = [tuple(read_records(folder, name)) for name in FILES]
        rows, pairs, *others = contents
        snapshot = Snapshot(rows, pairs, header["manifest"], *others)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"snapshot {folder} cannot be read: {error}. Build it again.") from error
    if snapshot.digest != header["digest"]:
        raise SnapshotError(f"snapshot {folder} was changed after it was built. Build it again; it is not used.")
    return snapshot


def parse_record(name: str, line: str | bytes) -> Any:
    """Read one JSON object as a record of the file with this name."""
    values: dict[str, Any] = json.loads(line)
    kind: Any = FILES[name]
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def read_records(folder: Path, name: str) -> Iterator[Any]:
    """Give the records of one file (`FILES` names them and their types) one by one; nothing is verified."""
    with (folder / name).open("rb") as file:
        for line in file:
            yield parse_record(name, line)
