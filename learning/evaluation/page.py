"""The report as one HTML file that needs nothing else: verdicts first, then what changed, then every figure."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, Template, select_autoescape

from governance.gates import COUNTS, GateResult, worst_first
from learning.evaluation.plots import Plot, plot_lengths, plot_margins, plot_shares
from learning.evaluation.report import Report
from learning.evaluation.words import (
    TITLES,
    comparison_words,
    figure_words,
    interval_words,
    paired_words,
    title,
)

FIVE_QUESTIONS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Does it answer what it was told?", ("as_told", "in_other_words")),
    (
        "Does it prefer what people preferred?",
        ("preferred", "preference_gain", "preferred_as_trained"),
    ),
    ("Does it still know what it knew?", ("general_kept", "general_lost", "general_kl")),
    ("Is it still safe?", ("refused", "refusals_kept", "canaries_right", "canaries_lost", "leaks")),
    ("Is it as fast and as brief as before?", ("mean_answer_tokens_ratio", "mean_answer_seconds_ratio")),
)
PLOTTED = ("as_told", "in_other_words", "preferred", "preferred_as_trained", "general_kept", "refused")


def render(report: Report, gates: Sequence[GateResult] = ()) -> str:
    """Return the page; the same report and verdicts give the same page."""
    return _template().render(
        report=report,
        gates=worst_first(gates),
        lost=[change for change in report.changes if change.verdict == "lost"],
        gained=[change for change in report.changes if change.verdict == "gained"],
        questions=[(heading, [name for name in names if _measured(report, name)]) for heading, names in FIVE_QUESTIONS],
        plots=_plots(report, gates),
        title=title,
        figure=figure_words,
        interval=interval_words,
        test=paired_words,
        comparison=comparison_words,
        counted=COUNTS,
    )


@cache
def _template() -> Template:
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(), trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return pages.get_template("report.html")


def _measured(report: Report, name: str) -> bool:
    metric = report.metrics.get(name)
    return metric is not None and metric.n > 0


def _plots(report: Report, gates: Sequence[GateResult]) -> dict[str, Plot]:
    bounds = {gate.name: gate.threshold for gate in gates}
    shares = {
        title(name): (report.before.get(name), report.metrics[name], bounds.get(name))
        for name in PLOTTED
        if _measured(report, name)
    }
    plots = {"shares": plot_shares(shares)} if shares else {}
    if report.pairs:
        plots["margins"] = plot_margins(report.pairs)
    if report.answers:
        plots["lengths"] = plot_lengths(report.answers, TITLES)
    return plots
