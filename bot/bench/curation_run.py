"""One timed build of a snapshot, for `apprentice bench curation`: `python -m bot.bench.curation_run FOLDER`."""

import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.assembly import open_parts
from learning.dataset import build_dataset
from learning.memory import peak_resident_mb
from storage.settings import load_settings


class CurationJob(BaseModel):
    """Whose feedback is built: that of the installation in `data_folder`; `config` is the settings file, if any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data_folder: Path
    config: Path | None = None


class CurationResult(BaseModel):
    """Seconds in all, of the processor, and by phase; MB held before and at most; what came of the feedback."""

    seconds: float
    cpu_seconds: float
    phases: dict[str, float]
    start_mb: float
    peak_mb: float
    sent_to_review: int
    digest: str
    manifest: dict[str, Any]


class Phases:
    """Notes when each phase began, as the build tells of it."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def tell(self, phase: str, _done: int, _total: int) -> None:
        """Hear of progress."""
        self._began.setdefault(phase, time.monotonic())

    def seconds(self, started: float, ended: float) -> dict[str, float]:
        """Return how long each lasted; the first began at the start."""
        marks = [started, *list(self._began.values())[1:], ended]
        lasted = (end - start for start, end in pairwise(marks))
        return {name: round(each, 2) for name, each in zip(self._began, lasted, strict=True)}


def run(folder: Path) -> None:
    """Do the job in `folder`, and leave result.json there."""
    job = CurationJob.model_validate_json((folder / "job.json").read_bytes())
    parts = open_parts(load_settings(job.config).apart(job.data_folder))
    start_mb, started, busy, phases = peak_resident_mb(), time.monotonic(), time.process_time(), Phases()
    built = build_dataset(parts.database, parts.store, parts.governance, "bench", phases.tell)
    ended = time.monotonic()
    result = CurationResult(
        seconds=ended - started, cpu_seconds=time.process_time() - busy,
        phases=phases.seconds(started, ended), start_mb=start_mb, peak_mb=peak_resident_mb(),
        sent_to_review=built.sent_to_review, digest=built.digest, manifest=built.manifest,
    )  # fmt: skip
    (folder / "result.json").write_text(result.model_dump_json(), encoding="utf-8")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
