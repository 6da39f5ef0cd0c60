"""Commands about training runs: runs (the list), runs show, runs cancel."""

import json
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot.assembly import Parts, open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json, print_rows
from bot.whoami import operator
from learning.cancelling import cancel as cancel_run
from learning.cancelling import settle
from learning.curves import Curve, loss_curve, thinned
from learning.training import GRACE_SECONDS, log_lines, read_progress
from storage.people import names_of
from storage.records import utc_now
from storage.runs import ACTIVE, Run, get_run, list_runs
from storage.settings import load_settings

LOG_LINES = 12
CURVE_WIDTH = 60
BARS = "▁▂▃▄▅▆▇█"
PATIENCE_S = 2 * GRACE_SECONDS
"""How long `cancel` waits for the process at work: it looks every two seconds, and its trainer has a time to stop."""
LOOK_AGAIN_S = 0.5

commands = typer.Typer(invoke_without_command=True)
RunArgument = Annotated[str, typer.Argument(help="The run, as `apprentice runs` lists it.", metavar="RUN")]


def register(app: typer.Typer) -> None:
    """Add this group to `app`."""
    app.add_typer(commands, name="runs")


@commands.callback()
def runs(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List training runs, newest first; show one, or cancel it.

    Example: `apprentice runs`
    """
    if context.invoked_subcommand is None:
        _list(open_parts(load_settings(config)), as_json=as_json)
    elif config is not None or as_json:
        raise typer.BadParameter(f"write --config and --json behind '{context.invoked_subcommand}'.")


@commands.command()
def show(run: RunArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show a run: state, who started it, where it stands, its loss curve, the end of its log, its files.

    Example: `apprentice runs show run_3f9a0c12d4e5b6a7`
    """
    parts = open_parts(load_settings(config))
    content = _content(parts, run)
    if as_json:
        print_json(content)
    else:
        _print(content)


@commands.command()
def cancel(
    run: RunArgument,
    reason: Annotated[str, typer.Option(help="Why; kept with the run, its digest in the audit log.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel a run, whichever process works on it, and wait until it has stopped. It is not resumed.

    Example: `apprentice runs cancel run_3f9a0c12d4e5b6a7 --reason "wrong data"`
    """
    parts = open_parts(load_settings(config))
    asked = cancel_run(parts.governance, parts.settings.run_folder, run, operator(), reason)
    ended = _wait_until_ended(parts, asked)
    if as_json:
        print_json({"run": ended.id, "state": ended.state, "cancelled_by": ended.cancelled_by})
    else:
        Console().print(_outcome(ended), highlight=False, soft_wrap=True, markup=False)


def _list(parts: Parts, *, as_json: bool) -> None:
    with parts.database.read() as session:
        rows = [
            {
                "run": run.id,
                "state": run.state,
                "started_by": run.started_by,
                "recipe": run.recipe,
                "created": run.created_at,
                "finished": run.finished_at,
                "digest": run.adapter_digest,
                "error": run.error,
                **({"plan": run.progress.get("plan")} if as_json else {}),
            }
            for run in list_runs(session)
        ]
    print_rows(rows, as_json=as_json, empty="No run yet. `apprentice train` starts one.")


def _wait_until_ended(parts: Parts, run: Run) -> Run:
    """Wait for the process at work, which may die meanwhile."""
    deadline = time.monotonic() + PATIENCE_S
    while run.state in ACTIVE and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN_S)
        run = settle(parts.governance, parts.settings.run_folder, run)
    return run


def _outcome(run: Run) -> str:
    if run.state == "cancelled":
        return f"Run {run.id} is cancelled. `apprentice train` starts a new one."
    if run.state in ACTIVE:
        return f"Run {run.id} will be cancelled when its process has stopped: `apprentice runs show {run.id}`."
    return f"Run {run.id} had ended before it could be stopped: it is {run.state}."


def _content(parts: Parts, run_id: str) -> dict[str, Any]:
    """Give all that is known of a run; what its folder had is missing when that is lost, but not the curve."""
    with parts.database.read() as session:
        run = get_run(session, run_id)
        people = names_of(session, [run.started_by, run.cancelled_by or ""])
    folder = parts.settings.run_folder / run.id
    curve = loss_curve(read_progress(folder)) or run.curve or []
    return {
        "run": run.id,
        "state": run.state,
        "started_by": run.started_by,
        "started_by_name": people.get(run.started_by),
        "cancelled_by": run.cancelled_by,
        "cancelled_by_name": people.get(run.cancelled_by or ""),
        "cancel_reason": run.cancel_reason,
        "error": run.error,
        "recipe": run.recipe,
        "start_reason": _job(folder).get("start_reason"),
        "base": run.base_digest,
        "parent": run.parent_digest,
        "snapshot": run.snapshot_digest,
        "adapter": run.adapter_digest,
        "created": run.created_at,
        "started": run.started_at,
        "finished": run.finished_at,
        "seconds": _seconds(run, utc_now()),
        "progress": run.progress,
        "loss": _loss(curve),
        "log": log_lines(folder, LOG_LINES),
        "folder": str(folder) if folder.exists() else None,
    }


def _job(folder: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((folder / "job.json").read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return content


def _seconds(run: Run, now: datetime) -> float | None:
    """Return how long a run took from its start to its end, or takes so far; None where it does not go on now."""
    end = now if run.state == "running" else run.finished_at
    return (end - run.started_at).total_seconds() if end and run.started_at else None


def _loss(curve: Curve) -> dict[str, Any] | None:
    if not curve:
        return None
    return {"steps": curve[-1][0], "first": curve[0][1], "last": curve[-1][1], "curve": thinned(curve)}


def _print(content: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in _lines(content):
        if value:
            table.add_row(name, Text(str(value), overflow="fold"))
    Console().print(table)
    if content["log"]:
        Console().print("\nThe end of its log:")
        Console().print("\n".join(content["log"]), highlight=False, markup=False, soft_wrap=True)


def _lines(content: dict[str, Any]) -> list[tuple[str, Any]]:
    folder = content["folder"]
    return [
        ("run", content["run"]),
        ("state", content["state"]),
        ("started by", content["started_by_name"] or content["started_by"]),
        ("cancelled by", content["cancelled_by_name"] or content["cancelled_by"]),
        ("reason", content["cancel_reason"]),
        ("error", content["error"] if content["state"] != "cancelled" else ""),
        ("recipe", content["recipe"]),
        ("start", content["start_reason"]),
        ("snapshot", content["snapshot"]),
        ("adapter", content["adapter"]),
        ("created", f"{content['created']:%Y-%m-%d %H:%M} UTC"),
        ("seconds", f"{content['seconds']:.0f}" if content["seconds"] is not None else ""),
        ("last seen", _progress(content["progress"])),
        ("loss", _loss_line(content["loss"])),
        ("files", f"{folder} (trainer.log, progress.jsonl, job.json)" if folder else "its folder is not on this disk"),
    ]


def _progress(event: dict[str, Any]) -> str:
    if not event:
        return ""
    length = f", {event['step']} of {event['total']}" if event.get("total") else ""
    left = event.get("seconds_left")
    return f"{event['phase']}{length}" + (f", about {left:.0f} s left" if left is not None else "")


def _loss_line(loss: dict[str, Any] | None) -> str:
    if loss is None:
        return ""
    values = [value for _, value in thinned(loss["curve"], CURVE_WIDTH)]
    return f"{sparkline(values)}  {loss['first']:.2f} to {loss['last']:.2f} in {loss['steps']:.0f} steps"


def sparkline(values: Sequence[float]) -> str:
    """Draw values as bars of one character each, from the lowest to the highest of them."""
    low, high = min(values), max(values)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in values)
