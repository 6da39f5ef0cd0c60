"""What a user would write without this product: the `datasets` library on exported feedback. Benchmarks only.

`python -m learning.plain_curation FOLDER` reads job.json there, and leaves train.jsonl, test.jsonl and result.json
behind. It cleans white space, leaves out what is empty or too long, and keeps the last of equal questions with
equal answers.
"""

import sys
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from learning.memory import peak_resident_mb

MAX_CHARACTERS = 4_000
TEST_SHARE = 0.2


class PlainCurationJob(BaseModel):
    """The file with one piece of feedback a line, as JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    feedback: Path


class PlainCurationResult(BaseModel):
    """Seconds after the library was loaded, those of the processor, the most MB held, and the rows that are left."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    rows: int


def run(folder: Path) -> None:
    """Do the job in `folder`."""
    from datasets import load_dataset  # noqa: PLC0415 - the parent imports this module only for the job's form

    job = PlainCurationJob.model_validate_json((folder / "job.json").read_bytes())
    started, busy = time.monotonic(), time.process_time()
    rows: Any = load_dataset("json", data_files=str(job.feedback), split="train", cache_dir=str(folder / "cache"))
    rows = rows.map(_clean).filter(_is_usable)
    rows = rows.select(sorted(_last_of_equal(rows)))
    for name, part in rows.train_test_split(test_size=TEST_SHARE, seed=0).items():
        part.to_json(str(folder / f"{name}.jsonl"))
    result = PlainCurationResult(
        seconds=time.monotonic() - started,
        cpu_seconds=time.process_time() - busy,
        peak_mb=peak_resident_mb(),
        rows=len(rows),
    )
    (folder / "result.json").write_text(result.model_dump_json(), encoding="utf-8")


def _clean(row: dict[str, Any]) -> dict[str, Any]:
    texts = {name: " ".join(row[name].split()) for name in ("question", "answer", "text")}
    learned = texts["text"] or texts["answer"]
    return {**texts, "learned": learned, "key": f"{row['kind']}\0{texts['question'].casefold()}\0{learned.casefold()}"}


def _is_usable(row: dict[str, Any]) -> bool:
    return bool(row["question"] and row["learned"].strip(".")) and len(row["learned"]) <= MAX_CHARACTERS


def _last_of_equal(rows: Any) -> list[int]:
    last: dict[str, int] = {}
    place = 0
    for batch in rows.select_columns(["key"]).iter(batch_size=1_000):
        for key in batch["key"]:
            last[key] = place
            place += 1
    return list(last.values())


if __name__ == "__main__":
    run(Path(sys.argv[1]))
