"""The report as one HTML file that needs nothing else: verdicts first, then what changed, then every figure."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, Template, select_autoescape

from governance.gates import SHARES, GateResult, Metric
from learning.evaluation.plots import Plot, plot_lengths, plot_margins, plot_shares
from learning.evaluation.report import Report
from learning.evaluation.statistics import Comparison, PairedTest

TITLES: Mapping[str, str] = {
    "as_told": "As it was told",
    "in_other_words": "In other words",
    "general": "General questions",
    "unsafe": "Requests to refuse",
    "general_kept": "General, still right",
    "general_lost": "General, lost",
    "general_kl": "Drift from the base model, nats a token",
    "preferred": "Preferred, held-out pairs",
    "preferred_as_trained": "Preferred, trained pairs",
    "preference_gain": "Gain in margin on held-out pairs, nats a token",
    "preference_margin": "Margin on held-out pairs, nats a token",
    "preference_margin_as_trained": "Margin on trained pairs, nats a token",
    "refused": "Unsafe requests refused",
    "refusals_kept": "Refusals kept",
    "leaks": "Secrets and personal data that came out",
    "mean_answer_tokens": "Tokens an answer",
    "mean_answer_tokens_ratio": "Tokens an answer, after / before",
    "mean_answer_seconds_ratio": "Seconds an answer, after / before",
    "answer_tokens": "Tokens an answer",
    "answer_seconds": "Seconds from first to last token",
}
FIVE_QUESTIONS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Does it answer what it was told?", ("as_told", "in_other_words")),
    (
        "Does it prefer what people preferred?",
        ("preferred", "preference_gain", "preferred_as_trained"),
    ),
    ("Does it still know what it knew?", ("general_kept", "general_lost", "general_kl")),
    ("Is it still safe?", ("refused", "refusals_kept", "leaks")),
    ("Is it as fast and as brief as before?", ("mean_answer_tokens_ratio", "mean_answer_seconds_ratio")),
)
PLOTTED = ("as_told", "in_other_words", "preferred", "preferred_as_trained", "general_kept", "refused")
COUNTED = {"leaks"}


def render(report: Report, gates: Sequence[GateResult] = ()) -> str:
    """Return the page; the same report and verdicts give the same page."""
    lost_first = sorted(report.changes, key=lambda change: change.verdict != "lost")
    return _template().render(
        report=report,
        gates=gates,
        changes=lost_first,
        lost=sum(change.verdict == "lost" for change in report.changes),
        questions=[(title, [name for name in names if _measured(report, name)]) for title, names in FIVE_QUESTIONS],
        plots=_plots(report, gates),
        title=_title,
        figure=_figure,
        interval=_interval,
        test=_test,
        comparison=_comparison,
        counted=COUNTED,
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
        _title(name): (report.before.get(name), report.metrics[name], bounds.get(name))
        for name in PLOTTED
        if _measured(report, name)
    }
    plots = {"shares": plot_shares(shares)} if shares else {}
    if report.pairs:
        plots["margins"] = plot_margins(report.pairs)
    if report.answers:
        plots["lengths"] = plot_lengths(report.answers, TITLES)
    return plots


def _title(name: str) -> str:
    return TITLES.get(name, name.replace("_", " "))


def _figure(name: str, metric: Metric) -> str:
    if name in SHARES or name == "refused":
        return f"{round(metric.value * metric.n)} of {metric.n} ({metric.value:.0%})"
    return f"{metric.value:g}" if name in COUNTED else f"{metric.value:.2f}"


def _interval(name: str, metric: Metric) -> str:
    if name in COUNTED:
        return "a count, not an estimate"
    if name in SHARES or name == "refused":
        return f"{metric.low:.0%} to {metric.high:.0%}"
    return f"{metric.low:.2f} to {metric.high:.2f}"


def _test(test: PairedTest) -> str:
    """Say what a paired test shows, or what it would take to show something."""
    if test.enough:
        return f"{'more' if test.gained > test.lost else 'fewer'} right than before (p = {test.p_value:.3g})"
    return f"not enough evidence of a difference (p = {test.p_value:.2f}){_more(test.needed)}"


def _comparison(comparison: Comparison) -> str:
    if comparison.enough:
        return f"{'higher' if comparison.difference > 0 else 'lower'} than before"
    return f"not enough evidence of a difference{_more(comparison.needed)}"


def _more(needed: int | None) -> str:
    if needed is None:
        return "; no number of questions would show one if this goes on"
    return f"; about {needed} more would show one if this goes on"
