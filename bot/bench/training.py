"""`apprentice bench training`: seconds a training step takes, beside TRL with its defaults and with the right flags."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bot.bench.child import run_child
from bot.demo.company import read_handbook
from learning.base_model import BaseModel
from learning.timing import SIDES, Side, TimedMethod, TimingJob, TimingResult

ROWS_PER_STEP = 8
STEPS: dict[Side, int] = {"ours": 7, "trl_defaults": 4, "trl_tuned": 7}
"""With the first, which is not counted; fewer where a step takes long."""
SHOW = Callable[[str, int, int, str], None]


def rows() -> tuple[tuple[str, str, str], ...]:
    """Return (question, answer, rejected answer): the demo's handbook, each fact's answer against the next one's."""
    facts = read_handbook()
    return tuple((fact.question, fact.answer, facts[(at + 1) % len(facts)].answer) for at, fact in enumerate(facts))


def measure(
    base: BaseModel, system_prompt: str, threads: int, folder: Path, methods: Sequence[TimedMethod], show: SHOW
) -> dict[str, Any]:
    """Time all sides, one after the other.

    Returns:
        By method and side: seconds_per_step, rows_per_second (of DPO pairs), losses, peak_mb; and `times_faster`, ours
        against each of the others.

    """
    result: dict[str, Any] = {}
    for method in methods:
        sides: dict[str, Any] = {}
        for number, side in enumerate(SIDES):
            show(f"timing {method}", number, len(SIDES), side.replace("_", " "))
            job = TimingJob(
                side=side, method=method, base_path=str(base.path), system_prompt=system_prompt, rows=rows(),
                rows_per_step=ROWS_PER_STEP, steps=STEPS[side], threads=threads,
            )  # fmt: skip
            sides[side] = _figures(run_child("learning.timing", job, folder / f"{method}-{side}", TimingResult))
        show(f"timing {method}", len(SIDES), len(SIDES), "")
        ours = sides["ours"]["seconds_per_step"]
        faster = {side: round(sides[side]["seconds_per_step"] / ours, 2) for side in SIDES if side != "ours"}
        result[method] = {**sides, "times_faster": faster}
    return result


def _figures(timed: TimingResult) -> dict[str, Any]:
    seconds = timed.seconds / timed.steps
    return {
        "seconds_per_step": round(seconds, 3),
        "rows_per_second": round(ROWS_PER_STEP / seconds, 2),
        "losses": [round(loss, 4) for loss in timed.losses],
        "peak_mb": round(timed.peak_mb),
    }
