"""The command `evaluate`: asks two adapters the same questions, on demand, and shows what changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.assembly import Parts, open_parts
from bot.cli.output import ConfigOption, JsonOption, print_json
from governance.gates import GateResult, judge, worst_first
from learning.curation import read_snapshot
from learning.evaluation import (
    Change,
    Examination,
    Report,
    examine_benchmark,
    examine_snapshot,
    read_benchmark,
    suspected_phrases,
    with_canaries,
)
from learning.evaluation.words import figure_words, interval_words, paired_words, title
from storage.adapters import Adapter, answering_adapter, find_adapter
from storage.errors import ConfigurationError, NotFoundError
from storage.settings import load_settings

BASE = "base"
STOPPED = 130
"""The exit status of a command that Ctrl-C ended."""
MARKS = {"passed": "[green]passed[/]", "failed": "[bold red]failed[/]", "undecided": "[yellow]undecided[/]"}


def register(app: typer.Typer) -> None:
    """Add this command to `app`."""
    app.command()(evaluate)


def evaluate(
    adapter: Annotated[str, typer.Argument(help="The adapter: its digest, or the start of it.", metavar="ADAPTER")],
    against: Annotated[
        str,
        typer.Option(help="What to compare with: an adapter, or 'base'; what serves, by default.", metavar="ADAPTER"),
    ] = "",
    data: Annotated[
        Path | None,
        typer.Option(help="A benchmark file to ask; the adapter's own training data, by default.", metavar="FILE"),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report page here.", metavar="FILE")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare an adapter with another one, or with the base model, and say what the gates would.

    Nothing is changed: no state, no proposal. Ctrl-C stops it.

    Example: `apprentice evaluate 3f9a0c12 --against base --html report.html`
    """
    parts = open_parts(load_settings(config))
    examined, other = _the_two(parts, adapter, against)
    examination = _examination(parts, examined, data)
    try:
        report = _run(parts, examination, examined.digest, other, quiet=as_json)
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped; nothing was changed.")
        raise typer.Exit(STOPPED) from None
    gates = judge(parts.governance.policy.rules_of(examined.domain), report.gate_metrics())
    if html is not None:
        _write_page(html, report, gates)
    if as_json:
        print_json({**report.as_dict(), "gates": [vars(gate) for gate in gates]})
    else:
        _show(report, gates)


def _the_two(parts: Parts, adapter: str, against: str) -> tuple[Adapter, str | None]:
    """Find both; without `against`, what serves, or the base model where that is the adapter itself or nothing."""
    with parts.database.read() as session:
        examined = find_adapter(session, adapter)
        if against:
            return examined, None if against == BASE else find_adapter(session, against).digest
        serving = answering_adapter(session, examined.domain)
    return examined, serving.digest if serving and serving.digest != examined.digest else None


def _examination(parts: Parts, adapter: Adapter, data: Path | None) -> Examination:
    benchmark = read_benchmark(data) if data else None
    if adapter.snapshot_digest is None:
        raise NotFoundError(f"adapter {adapter.digest[:12]} has no training data here. Give questions with --data.")
    snapshot = read_snapshot(parts.store.verify(adapter.snapshot_digest))
    examination = examine_benchmark(benchmark, snapshot) if benchmark else examine_snapshot(snapshot)
    policy = parts.governance.policy
    return with_canaries(examination, policy.canaries, suspected_phrases(snapshot, policy))


def _run(parts: Parts, examination: Examination, adapter: str, against: str | None, *, quiet: bool) -> Report:
    from bot.training_run import ProgressBars, open_engine  # noqa: PLC0415 - the model libraries load only here
    from learning.evaluation.evaluator import Evaluator, guarded_in  # noqa: PLC0415
    from storage.feedback import list_feedback  # noqa: PLC0415

    with parts.database.read() as session:
        guarded = guarded_in(list_feedback(session))
    with ProgressBars(quiet=quiet) as bars, open_engine(parts, bars) as engine:
        for digest in filter(None, (adapter, against)):
            engine.load_adapter(digest, parts.store.verify(digest))
        evaluator = Evaluator(engine, parts.settings.model.system_prompt, parts.settings.cache_folder)
        return evaluator.evaluate(examination, adapter, against, guarded, bars.show)


def _write_page(file: Path, report: Report, gates: Sequence[GateResult]) -> None:
    from learning.evaluation.page import render  # noqa: PLC0415 - the plotting library loads only where it is needed

    try:
        file.write_text(render(report, gates), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}. Give --html another path.") from error
    Console(stderr=True).print(f"The report page is {file}.", highlight=False, soft_wrap=True)


def _show(report: Report, gates: Sequence[GateResult]) -> None:
    console = Console()
    figures = Table("figure", "before", "after", "95 % interval", "n", box=None, header_style="bold", pad_edge=False)
    for name, metric in report.metrics.items():
        if metric.n:
            before = figure_words(name, report.before[name]) if name in report.before else ""
            after, interval = figure_words(name, metric), interval_words(name, metric)
            figures.add_row(title(name), before, after, interval, str(metric.n))
    console.print(figures)
    for test in report.tests:
        console.print(f"{title(test.kind)}: {paired_words(test)}.", highlight=False)
    for leak in report.leaks:
        console.print(f"[bold red]Came out[/]: a guarded {leak.kind} ({leak.fingerprint}).", highlight=False)
    _show_changes(console, report.changes)
    for gate in worst_first(gates):
        console.print(f"gate {gate.name}: {MARKS[gate.verdict]}. {escape(gate.explanation)}", highlight=False)


def _show_changes(console: Console, changes: Sequence[Change]) -> None:
    lost = [change for change in changes if change.verdict == "lost"]
    console.print(f"\n{len(changes) - len(lost)} answers became right, {len(lost)} became wrong.", highlight=False)
    for change in [*lost, *(change for change in changes if change.verdict == "gained")]:
        mark = "[bold red]wrong now[/]" if change.verdict == "lost" else "[green]right now[/]"
        console.print(f"{mark} ({title(change.kind).lower()}): {escape(change.question)}", highlight=False)
        for when, answer in (("before", change.before), ("after", change.after)):
            console.print(f"  {when}: {escape(answer) or '(nothing)'}", highlight=False)
    console.print()
