"""The rows of a data set, each by its place: `DIGEST/rows/12` is the twelfth line of rows.jsonl."""

import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from learning.curation.snapshot import (
    LEFT_OUT_FILE,
    PAIRS_FILE,
    ROWS_FILE,
    THUMBS_FILE,
    LeftOut,
    PreferencePair,
    Row,
    parse_record,
)

Part = Literal["rows", "pairs", "thumbs", "left_out"]
FILES: dict[Part, str] = dict(zip(get_args(Part), (ROWS_FILE, PAIRS_FILE, THUMBS_FILE, LEFT_OUT_FILE), strict=True))
IDS, ID = '"feedback_ids":', '"feedback_id":'
DECODER = json.JSONDecoder()
FEW = 8
"""Up to so many ids are looked for in a line before it is parsed, which takes longer."""


@dataclass(frozen=True)
class DataRow:
    """One row, preference pair, liked or disliked answer, or what was left out; `number` counts lines from 1.

    `line` is its JSON, which is parsed when it is asked for more than its ids: of many rows, few are shown.
    """

    part: Part
    number: int
    line: bytes

    @cached_property
    def record(self) -> Any:
        """The row as curation wrote it.

        Raises:
            ValueError, TypeError: it is not readable.

        """
        return parse_record(FILES[self.part], self.line)

    @property
    def place(self) -> str:
        """Where it is in its data set."""
        return f"{self.part}/{self.number}"

    @property
    def feedback_ids(self) -> Sequence[str]:
        """The ids of the feedback that it is made of."""
        text = self.line.decode()
        for key, start in (
            (key, text.find(key)) for key in (IDS, ID)
        ):  # in texts the quotes of these words are escaped
            if start >= 0:
                value, _ = DECODER.raw_decode(text, start + len(key))
                return value if isinstance(value, list) else [value]
        raise ValueError(f"a row names no feedback: {text[:80]!r}")

    @property
    def is_trained_on(self) -> bool:
        """Whether a training on the data set learns from it."""
        return self.part == "rows" or getattr(self.record, "split", "") == "train"

    @property
    def is_erased(self) -> bool:
        """Whether its texts were erased."""
        return not isinstance(self.record, LeftOut) and not self.record.question

    @property
    def said(self) -> str:
        """What it is, without its texts."""
        if isinstance(self.record, LeftOut):
            return f"left out by the rule “{self.record.rule}”"
        what = "a question and its answer" if isinstance(self.record, Row) else "an answer that people liked"
        if isinstance(self.record, PreferencePair):
            what = "an answer that is preferred over another one"
        elif getattr(self.record, "liked", True) is False:
            what = "an answer that people did not like"
        held_out = "" if self.is_trained_on else ", held out: asked in evaluations, and not trained on"
        return f"{what}{held_out}{', its texts were erased' if self.is_erased else ''}"


def first_rows(folder: Path, limit: int | None) -> tuple[list[DataRow], int]:
    """Return the first rows of a data set, `limit` of them (None: all), and how many there are.

    Raises:
        OSError, ValueError, TypeError: its files are missing or unreadable; so do the two below.

    """
    rows = _rows(folder)
    found = list(islice(rows, limit))
    return _read(found), len(found) + sum(1 for _ in rows)


def rows_with(folder: Path, ids: AbstractSet[str], limit: int | None) -> list[DataRow]:
    """Return all rows of a data set that any of this feedback is in; the first ones, `limit` of them, are read."""
    wanted = [json.dumps(each, ensure_ascii=False).encode() for each in ids] if len(ids) <= FEW else []
    candidates = (row for row in _rows(folder) if not wanted or any(each in row.line for each in wanted))
    found = [row for row in candidates if not ids.isdisjoint(row.feedback_ids)]
    _read(found[:limit])
    return found


def row_at(folder: Path, part: Part, number: int) -> DataRow | None:
    """Return one row; None where there is none."""
    with (folder / FILES[part]).open("rb") as file:
        line = next(islice(file, number - 1, None), None) if number > 0 else None
    return _read([DataRow(part, number, line)])[0] if line is not None else None


def _rows(folder: Path) -> Iterator[DataRow]:
    for part, name in FILES.items():
        with (folder / name).open("rb") as file:
            for number, line in enumerate(file, 1):
                yield DataRow(part, number, line)


def _read(rows: list[DataRow]) -> list[DataRow]:
    """Find out now, not when they are shown, that rows are not readable."""
    for row in rows:
        _ = row.record, row.feedback_ids
    return rows
