"""From feedback to an immutable training snapshot: cleaned, superseded, contradictions set aside, every row traced."""

from learning.curation.building import Progress, build_snapshot, curate
from learning.curation.quality import MAX_CHARACTERS
from learning.curation.reading import FeedbackLike
from learning.curation.snapshot import (
    CONTRADICTIONS_FILE,
    FILES,
    LEFT_OUT_FILE,
    ROWS_FILE,
    Contradiction,
    LeftOut,
    PreferencePair,
    Row,
    Snapshot,
    SnapshotError,
    Split,
    Thumb,
    read_records,
    read_snapshot,
    write_snapshot,
)
from learning.curation.text import normalise, question_key

__all__ = [
    "CONTRADICTIONS_FILE",
    "FILES",
    "LEFT_OUT_FILE",
    "MAX_CHARACTERS",
    "ROWS_FILE",
    "Contradiction",
    "FeedbackLike",
    "LeftOut",
    "PreferencePair",
    "Progress",
    "Row",
    "Snapshot",
    "SnapshotError",
    "Split",
    "Thumb",
    "build_snapshot",
    "curate",
    "normalise",
    "question_key",
    "read_records",
    "read_snapshot",
    "write_snapshot",
]
