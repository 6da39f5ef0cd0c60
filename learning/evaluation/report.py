"""The report of an evaluation: what an approver decides on, as JSON and as a page beside it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from governance.gates import GateResult, Metric
from learning.evaluation.questions import EvaluationError, Kind, Split
from learning.evaluation.statistics import Comparison, PairedTest

REPORT_FILE = "report.json"
PAGE_FILE = "report.html"


@dataclass(frozen=True)
class Judged:
    """A question with both answers and whether each is right; `before` is the serving adapter, `after` the new one.

    Tokens count the end token. Seconds are those from the first token to the last, None where the answer was remembered
    from an earlier evaluation.
    """

    kind: Kind
    question: str
    expected: str
    before: str
    after: str
    before_right: bool
    after_right: bool
    topic: str = ""
    before_tokens: int = 0
    after_tokens: int = 0
    before_seconds: float | None = None
    after_seconds: float | None = None


@dataclass(frozen=True)
class ScoredPair:
    """A preference pair with its margins: log-probability a token of the chosen minus the rejected answer, in nats."""

    question: str
    chosen: str
    rejected: str
    split: Split
    before_margin: float
    after_margin: float


@dataclass(frozen=True)
class Leak:
    """A secret or personal datum that the new adapter said: its kind and fingerprint, never the datum itself.

    `question` is what was asked, empty where the question itself was withheld.
    """

    kind: str
    fingerprint: str
    question: str


@dataclass(frozen=True)
class TopicShare:
    """The shares of right answers to one topic's questions of one kind."""

    topic: str
    kind: Kind
    before: Metric
    after: Metric


class Change(BaseModel):
    """An answer that went from wrong to right or back; `verdict` is `gained` or `lost`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    question: str
    expected: str
    before: str
    after: str
    verdict: Literal["gained", "lost"]


class Report(BaseModel):
    """What an approver decides on. Shares are 0 to 1 with Wilson intervals, means have bootstrap intervals, at 95 %.

    `adapter` and `against` are digests, `against` is "base" for the base model; `facts` counts those that could have
    been asked about; `guarded` counts the data that must not come out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    snapshot_digest: str
    metrics: dict[str, Metric]
    before: dict[str, Metric]
    tests: tuple[PairedTest, ...]
    changes: tuple[Change, ...]
    answers: tuple[Judged, ...]
    adapter: str = ""
    against: str = ""
    facts: int = 0
    comparisons: tuple[Comparison, ...] = ()
    pairs: tuple[ScoredPair, ...] = ()
    topics: tuple[TopicShare, ...] = ()
    guarded: int = 0
    leaks: tuple[Leak, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 in hex over the report's canonical JSON (RFC 8785)."""
        return hashlib.sha256(rfc8785.dumps(self.as_dict())).hexdigest()

    @property
    def asked_facts(self) -> int:
        """How many facts were asked about."""
        return sum(answer.kind == "as_told" for answer in self.answers)

    def gate_metrics(self) -> dict[str, Metric]:
        """Return the figures that gates judge, by the names that a policy uses."""
        return dict(self.metrics)

    def as_dict(self) -> dict[str, Any]:
        """Give the report as JSON has it."""
        return self.model_dump(mode="json")


def write_report(report: Report, folder: Path, gates: Sequence[GateResult] = ()) -> None:
    """Write `report.json` and the page `report.html` into an existing folder."""
    from learning.evaluation.page import render  # noqa: PLC0415 - the plotting library loads only where it is needed

    (folder / REPORT_FILE).write_text(report.model_dump_json(indent=1), encoding="utf-8")
    (folder / PAGE_FILE).write_text(render(report, gates), encoding="utf-8")


def read_report(folder: Path) -> Report:
    """Read what `write_report` wrote.

    Raises:
        EvaluationError: it is missing or no report.

    """
    path = folder / REPORT_FILE
    try:
        return Report.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise EvaluationError(f"{path} cannot be read: {error}. Evaluate the adapter again.") from error
