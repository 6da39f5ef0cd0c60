"""The command `assess`: compares base models on a benchmark file before a project starts, and recommends one."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bot.cli.output import ConfigOption, JsonOption, print_json
from bot.cli.temporary import temporary_folder
from learning.assessment import KINDS, Asked, Assessed, Recommendation, Training, recommend
from learning.evaluation import read_benchmark
from learning.evaluation.questions import Kind
from learning.evaluation.words import title
from learning.model_files import ModelFiles
from storage.settings import load_settings

STOPPED = 130
"""The exit status of a command that Ctrl-C ended."""
NONE = "-"
BUSY = 0.5
"""Load a core, over the last minute before the measurement, from which a reader is told that times are too long."""


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command()(assess)


def assess(
    models: Annotated[
        list[str], typer.Argument(help="Local folders, hub ids, or builtin:smollm2-135m.", metavar="MODEL...")
    ],
    data: Annotated[Path, typer.Option(help="The benchmark file.", metavar="FILE")],
    limit: Annotated[int | None, typer.Option(min=1, help="Ask at most so many questions of each kind.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare base models for your task on this machine, before you choose one as model.base.

    Each is asked the file's questions, timed, and trained for a few steps, in processes of its own. Of the facts a base
    model should know few: what it lacks is what corrections can teach. The exit status is 1 if none could be measured.

    Example: `apprentice assess builtin:smollm2-135m models/other --data handbook.json`
    """
    from bot.training_run import ProgressBars  # noqa: PLC0415 - the model libraries load only here
    from learning.assess import Examiner  # noqa: PLC0415
    from learning.assess import assess as measure  # noqa: PLC0415

    benchmark, settings = read_benchmark(data), load_settings(config)
    machine = {"cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]}
    try:
        with temporary_folder("apprentice-assess-") as folder, ProgressBars(quiet=as_json) as bars:
            found = measure(Examiner(benchmark, settings, folder, limit), models, bars.show)
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped; nothing was changed.")
        raise typer.Exit(STOPPED) from None
    advice = recommend(found)
    if as_json:
        rows = [each.as_dict() for each in found]
        advice_json = advice.model_dump(mode="json")
        print_json({"data": benchmark.name, "machine": machine, "models": rows, "recommendation": advice_json})
    else:
        _show(found, advice)
        _warn_busy(**machine)
    if all(each.problem for each in found):
        raise typer.Exit(1)


def _show(found: Sequence[Assessed], advice: Recommendation) -> None:
    console = Console()
    measured = [each for each in found if not each.problem]
    if measured:
        table = Table("", *(escape(each.model) for each in measured), box=None, header_style="bold", pad_edge=False)
        for name, cell in ROWS.items():
            table.add_row(name, *(Text(cell(each)) for each in measured))
        console.print(table)
    for each in found:
        for problem in filter(None, (each.problem, each.training.problem if each.training else "")):
            console.print(f"[bold red]{escape(each.model)}[/]: {escape(problem)}", highlight=False, soft_wrap=True)
    head = f"Recommended for this machine: {advice.model}." if advice.model else "No recommendation."
    for line in filter(None, (head, advice.reason, advice.evidence)):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _warn_busy(cores: float, load: float) -> None:
    if load > BUSY * cores:
        Console(stderr=True).print(
            f"Other programs were running (load {load:.1f} on {cores:.0f} cores): the times are longer than they would "
            "be alone. Stop them and measure again before you rely on the speed.",
            highlight=False,
            soft_wrap=True,
        )


def _of_asked(words: Callable[[Asked], str]) -> Callable[[Assessed], str]:
    return lambda each: words(each.asked) if each.asked else NONE


def _of_files(words: Callable[[ModelFiles], str]) -> Callable[[Assessed], str]:
    return lambda each: words(each.files) if each.files else NONE


def _of_training(words: Callable[[Training], str]) -> Callable[[Assessed], str]:
    return lambda each: words(each.training) if each.training else NONE


def _share(kind: Kind) -> Callable[[Asked], str]:
    def words(asked: Asked) -> str:
        rights, metric = asked.rights(kind), asked.share(kind)
        return f"{sum(rights)} of {len(rights)} ({metric.low:.0%} to {metric.high:.0%})" if rights else NONE

    return words


def _fits(training: Training) -> str:
    if training.fits is None:
        return "not measured"
    needed = f" ({training.needed_mb:,.0f} MB with the bot)" if training.needed_mb else ""
    return ("yes" if training.fits else "no") + needed


def _seconds(training: Training) -> str:
    return NONE if training.seconds is None else f"about {training.seconds:,.0f} s for {training.facts} facts"


ROWS: dict[str, Callable[[Assessed], str]] = {
    **{title(kind): _of_asked(_share(kind)) for kind in KINDS},
    "Seconds to the first token": _of_asked(lambda asked: f"{asked.speed.seconds_to_first_token:.2f}"),
    "Seconds an answer": _of_asked(lambda asked: f"{asked.speed.seconds_per_answer:.2f}"),
    "Tokens a second, one at a time": _of_asked(lambda asked: f"{asked.speed.tokens_per_second:.1f}"),
    "Tokens a second, 8 at once": _of_asked(lambda asked: f"{asked.speed.tokens_per_second_at_once:.1f}"),
    "Memory at most": _of_asked(lambda asked: f"{asked.peak_mb:,.0f} MB, weights {asked.weights_mb:,.0f} MB"),
    "Parameters": _of_asked(lambda asked: f"{asked.parameters / 1e6:,.1f} million, {asked.dtype}"),
    "Context, tokens": _of_files(lambda files: f"{files.context_length:,}" if files.context_length else NONE),
    "Chat template": _of_files(lambda files: "yes" if files.chat_template else "no"),
    "Licence": _of_files(lambda files: files.licence),
    "Training fits": _of_training(_fits),
    "Training takes": _of_training(_seconds),
}
"""The table's rows, by what they are called."""
