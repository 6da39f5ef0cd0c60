"""A training run in the terminal: the engine for its evaluation, progress bars, and a summary at the end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bot.assembly import Parts
from learning.base_model import prepare
from learning.engine import Engine
from learning.hardware import detect
from learning.pipeline import Pipeline, PipelineResult, RunEvent

LONGEST_NAME = 24
"""Characters of a phase's name, which may be a path: a line of 80 has to hold bar, detail and time too."""
BAR_STEPS = 100


class ProgressBars:
    """One bar a phase of a run; a `with` block around the run."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[detail]}"), TimeRemainingColumn(),
            console=Console(stderr=True, quiet=quiet),
        )  # fmt: skip
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, phase: str, step: int, total: int, detail: str = "") -> None:
        """Move the bar of `phase` to `step` of `total`."""
        if phase not in self._bars:
            name = phase if len(phase) <= LONGEST_NAME else f"…{phase[1 - LONGEST_NAME :]}"
            self._bars[phase] = self._progress.add_task(name, total=total or None, detail=detail)
        self._progress.update(self._bars[phase], completed=step, total=total or None, detail=detail)

    def on_event(self, event: RunEvent) -> None:
        """Show an event of a run."""
        if event.plan is not None:
            self._progress.console.print(f"plan: {event.message}", highlight=False, markup=False)
        else:
            self.show(event.phase, event.step, event.total, event.message)


@contextmanager
def open_engine(parts: Parts, bars: ProgressBars) -> Iterator[Engine]:
    """Have an engine on the configured base model, which is fetched and converted first where needed."""
    base = prepare(
        parts.settings.model.base,
        parts.settings.cache_folder,
        lambda what, share: bars.show("model", int(share * BAR_STEPS), BAR_STEPS, what),
    )
    inference = parts.settings.inference
    hardware = detect(inference.threads, inference.dtype)
    engine = Engine.start(base, hardware, max_batch=inference.max_batch, adapter_memory_mb=inference.adapter_memory_mb)
    try:
        yield engine
    finally:
        engine.close()


def train_in_terminal(parts: Parts, started_by: str, domain: str, *, quiet: bool) -> dict[str, Any]:
    """Run the pipeline to its end, with bars on stderr; SIGINT and SIGTERM leave an `interrupted` run that resumes."""
    with ProgressBars(quiet=quiet) as bars, open_engine(parts, bars) as engine:
        pipeline = Pipeline(parts.settings, parts.database, parts.store, parts.governance, engine, engine.base)
        _stop_on_signal(pipeline)
        result = pipeline.run(started_by, bars.on_event, domain)
    if not quiet:
        _summarise(result)
    return as_dict(result)


def as_dict(result: PipelineResult) -> dict[str, Any]:
    """Give what a script wants to know of a run."""
    return {
        "run": result.run.id,
        "state": result.run.state,
        "adapter": result.adapter.digest if result.adapter else None,
        "adapter_state": result.adapter.state if result.adapter else None,
        "gates": [
            {"name": gate.name, "verdict": gate.verdict, "explanation": gate.explanation} for gate in result.gates
        ],
        "proposal": result.proposal.id if result.proposal else None,
        "plan": result.run.progress.get("plan"),
    }


def _summarise(result: PipelineResult) -> None:
    console = Console()
    for gate in result.gates:
        console.print(f"gate {gate.name}: {gate.verdict}. {gate.explanation}", highlight=False, markup=False)
    if result.adapter is not None:
        console.print(f"Adapter {result.adapter.digest} is {result.adapter.state}.", highlight=False, soft_wrap=True)
    if result.proposal is not None and result.adapter is not None:
        console.print(
            f"It waits for approval: in Slack, or `apprentice approve {result.adapter.digest[:12]} --as USER`.",
            highlight=False, soft_wrap=True,
        )  # fmt: skip


def _stop_on_signal(pipeline: Pipeline) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        pipeline.interrupt()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
