"""A training run's message: what the run does now, or how it ended; a button to cancel it while that is possible."""

from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from pydantic import ValidationError

from bot.slack import blocks
from learning.pipeline import RunEvent
from learning.plan import Plan
from storage.database import Database
from storage.people import names_of
from storage.runs import ACTIVE, find_run

BAR = 20
ERROR_LIMIT = 500


@dataclass(frozen=True)
class Standing:
    """What the database says of a run, in the words of its message; `known` is false where it has no such run."""

    known: bool = False
    state: str = ""
    cancelled_by: str = ""
    why: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing of it can change any more."""
        return self.known and self.state not in ACTIVE

    @property
    def cancellable(self) -> bool:
        """Whether it has a button."""
        return self.known and not self.ended and not self.cancelled_by


def read_standing(database: Database, run_id: str) -> tuple[Standing, dict[str, Any]]:
    """Return how the run stands, and the progress that was last kept of it."""
    with database.read() as session:
        run = find_run(session, run_id)
        if run is None:
            return Standing(), {}
        names = names_of(session, [run.cancelled_by or ""])
    cancelled_by = names.get(run.cancelled_by or "", run.cancelled_by or "")
    why = run.cancel_reason if run.cancelled_by else run.error
    return Standing(known=True, state=run.state, cancelled_by=cancelled_by, why=why or ""), run.progress


def event_of(run_id: str, progress: dict[str, Any]) -> RunEvent:
    """Give back the event that was kept with a run; another version may have kept other figures of it."""
    known = {field.name for field in fields(RunEvent)}
    kept = {name: value for name, value in progress.items() if name in known and name != "plan"}
    return RunEvent(**{"phase": "", "message": "", **kept, "run_id": run_id})


def plan_of(progress: dict[str, Any]) -> str:
    """Return the plan that was kept with a run, in words; empty when there is none, or one of another version."""
    with suppress(ValidationError):
        return Plan.model_validate(progress.get("plan")).sentence()
    return ""


def run_message(event: RunEvent, standing: Standing, plan: str = "") -> tuple[str, blocks.Blocks]:
    """Return the message's fallback text and its blocks; `plan` is the run's plan in words, once there is one."""
    status = _status(standing)
    if standing.ended:
        line = f"*Training run* `{event.run_id}`: {status}"
    else:
        line = "\n".join(filter(None, [progress_line(event), status]))
    planned = [blocks.context(f"Plan: {blocks.escape(plan)}")] if plan and event.plan is None else []
    buttons = [blocks.cancel_button(event.run_id)] if standing.cancellable else []
    return f"Training run {event.run_id}: {status or event.message}", [blocks.section(line), *planned, *buttons]


def progress_line(event: RunEvent) -> str:
    """Say what a run does now, with a bar when its length is known."""
    line = f"*Training run* `{event.run_id}`: {blocks.escape(event.phase)}. {blocks.escape(event.message)}"
    if event.total:
        done = round(BAR * min(event.step / event.total, 1.0))
        line += f"\n`{'█' * done}{'░' * (BAR - done)}` {event.step} of {event.total}"
    if event.seconds_left is not None:
        line += f", about {round(event.seconds_left)} s left"
    return line


def _status(standing: Standing) -> str:
    """Say what the progress of a run does not say; empty while it simply goes on."""
    why = f": {blocks.escape(blocks.clip(standing.why, ERROR_LIMIT))}" if standing.why else "."
    match standing.state:
        case "cancelled":
            return f"Cancelled by {blocks.escape(standing.cancelled_by or 'the system')}{why}"
        case "failed":
            return f"Failed{why}"
        case "succeeded":
            return "Succeeded."
        case _ if standing.cancelled_by:
            return f"{blocks.escape(standing.cancelled_by)} cancelled it; it stops within seconds."
        case "interrupted":
            return "Interrupted; it goes on when training starts again."
        case _:
            return ""
