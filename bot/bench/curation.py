"""`apprentice bench curation`: rows a second and memory of building a snapshot, beside the `datasets` library."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bot.assembly import Parts
from bot.bench.child import run_child
from bot.bench.curation_run import CurationJob, CurationResult
from bot.bench.feedback import make_feedback, people_of
from bot.feedback_file import IMPORT_WORKSPACE
from learning.plain_curation import PlainCurationJob, PlainCurationResult
from storage.feedback import insert_accepted
from storage.people import ensure_person, ensure_workspace
from storage.records import utc_now

AT_ONCE = 5_000
"""Rows that are stored in one transaction."""
SHOW = Callable[[str, int, int, str], None]


def measure(rows: int, parts: Parts, config: Path | None, *, baseline: bool, show: SHOW) -> dict[str, Any]:
    """Make feedback, store it, and build from it, each side in a process of its own, one after the other.

    Args:
        rows: how many pieces of feedback.
        parts: of an installation of its own, in a folder that is removed afterwards.
        config: the settings file that the child reads too.
        baseline: whether the `datasets` library is measured beside it.
        show: hears of progress.

    Returns:
        Per side seconds and rows per second, by the clock and of the processor, and peak_mb; ours with the seconds of
        each phase and the manifest's counts.

    """
    folder = parts.settings.data_folder
    _store(rows, parts, show)
    show("building the snapshot", 0, 1, "")
    job = CurationJob(data_folder=folder, config=config)
    ours = run_child("bot.bench.curation_run", job, folder / "ours", CurationResult)
    show("building the snapshot", 1, 1, "")
    result: dict[str, Any] = {"rows": rows, "people": people_of(rows), "ours": _figures(rows, ours)}
    if baseline:
        plain = _run_plain(rows, folder / "plain", show)
        result["datasets"] = {**_side(rows, plain), "rows_kept": plain.rows}
        result["ours_to_datasets"] = {
            "rows_per_second": round(plain.seconds / ours.seconds, 2),
            "rows_per_cpu_second": round(plain.cpu_seconds / ours.cpu_seconds, 2),
            "peak_mb": round(ours.peak_mb / plain.peak_mb, 2),
        }
    return result


def _store(rows: int, parts: Parts, show: SHOW) -> None:
    with parts.database.transaction() as session:
        ensure_workspace(session, IMPORT_WORKSPACE, IMPORT_WORKSPACE, utc_now())
        for number in range(people_of(rows)):
            ensure_person(session, IMPORT_WORKSPACE, f"U{number:05}", f"Person {number}", utc_now())
    done, stamp = 0, parts.governance.policy.privacy.stamp  # as recording would leave them
    for batch in _batches(make_feedback(rows)):
        with parts.database.transaction() as session:
            insert_accepted(session, [{**row, "checked_by": stamp} for row in batch])
        done += len(batch)
        show("storing feedback", done, rows, "")


def _run_plain(rows: int, folder: Path, show: SHOW) -> PlainCurationResult:
    show("the datasets library", 0, 1, "")
    file = folder.with_suffix(".jsonl")
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps({**row, "created_at": row["created_at"].isoformat()}) + "\n"
                       for row in make_feedback(rows))  # fmt: skip
    result = run_child("learning.plain_curation", PlainCurationJob(feedback=file), folder, PlainCurationResult)
    shutil.rmtree(folder)
    show("the datasets library", 1, 1, "")
    return result


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    source = iter(rows)
    while batch := list(islice(source, AT_ONCE)):
        yield batch


def _side(rows: int, measured: CurationResult | PlainCurationResult) -> dict[str, Any]:
    return {
        "seconds": round(measured.seconds, 2),
        "cpu_seconds": round(measured.cpu_seconds, 2),
        "rows_per_second": round(rows / measured.seconds),
        "rows_per_cpu_second": round(rows / measured.cpu_seconds),
        "peak_mb": round(measured.peak_mb),
    }


def _figures(rows: int, built: CurationResult) -> dict[str, Any]:
    return {
        **_side(rows, built),
        "start_mb": round(built.start_mb),
        "phases": built.phases,
        "sent_to_review": built.sent_to_review,
        "digest": built.digest,
        **{name: built.manifest[name] for name in ("counts", "left_out", "splits", "measured")},
    }
