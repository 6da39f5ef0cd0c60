"""The plots of a report page, each as SVG in two inks: for a light page and for a dark one. The tables say the same."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from governance.gates import Metric
from learning.evaluation.report import Judged, ScoredPair

WIDTH = 4.2
"""Inches at 72 points: as wide as a telephone's page, so that the letters there are not scaled down."""
ROW = 0.42
LETTERS = 10


@dataclass(frozen=True)
class Ink:
    """The colours of one plot."""

    text: str
    before: str
    after: str


LIGHT = Ink(text="#33373d", before="#8a6d1f", after="#1f5fbf")
DARK = Ink(text="#d7dae0", before="#d9b54a", after="#7fb0ff")


@dataclass(frozen=True)
class Plot:
    """One plot as two data URLs, and what it shows in words."""

    light: str
    dark: str
    description: str


def plot_shares(shares: Mapping[str, tuple[Metric | None, Metric, float | None]]) -> Plot:
    """Plot shares with their intervals: by label the figure before (where it has one), after, and the gate's bound."""

    def draw(axes: Axes, ink: Ink) -> None:
        for place, (before, after, bound) in enumerate(shares.values()):
            if before is not None:
                _interval(axes, before, place + 0.16, ink.before, "o", filled=False)
            _interval(axes, after, place - 0.16, ink.after, "o", filled=True)
            if bound is not None:
                axes.plot([bound, bound], [place - 0.38, place + 0.38], color=ink.text, linewidth=1.2, linestyle=":")
        _label_rows(axes, list(shares))
        axes.set_xlim(-0.02, 1.02)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])

    words = "; ".join(
        f"{label}: {f'{before.value:.0%} before, ' if before else ''}{after.value:.0%} after"
        for label, (before, after, _) in shares.items()
    )
    return _plot(draw, ROW * len(shares) + 0.7, f"Shares of right answers with 95 % intervals. {words}.")


def plot_margins(pairs: Sequence[ScoredPair]) -> Plot:
    """Plot each pair's margin before against after; points above the diagonal moved towards what people preferred."""
    before, after = [pair.before_margin for pair in pairs], [pair.after_margin for pair in pairs]

    def draw(axes: Axes, ink: Ink) -> None:
        ends = [min(*before, *after, 0.0), max(*before, *after, 0.0)]
        axes.plot(ends, ends, color=ink.text, linewidth=0.8, linestyle=":")
        axes.axhline(0.0, color=ink.text, linewidth=0.6)
        axes.scatter(before, after, s=22, color=ink.after, alpha=0.8)
        axes.set_xlabel("margin before, nats a token")
        axes.set_ylabel("margin after")

    better = sum(new > old for old, new in zip(before, after, strict=True))
    return _plot(draw, 3.0, f"Margins of {len(pairs)} preference pairs; {better} moved towards the preferred answer.")


def plot_lengths(answers: Sequence[Judged], labels: Mapping[str, str]) -> Plot:
    """Plot the answers' lengths by kind of question, before and after: median, quartiles and extremes."""
    kinds = list(dict.fromkeys(item.kind for item in answers))

    def draw(axes: Axes, ink: Ink) -> None:
        for place, kind in enumerate(kinds):
            of_kind = [item for item in answers if item.kind == kind]
            _box(axes, [item.before_tokens for item in of_kind], place + 0.18, ink.before)
            _box(axes, [item.after_tokens for item in of_kind], place - 0.18, ink.after)
        _label_rows(axes, [labels.get(kind, kind) for kind in kinds])
        axes.set_xlim(left=0)
        axes.set_xlabel("tokens an answer")

    return _plot(
        draw, ROW * len(kinds) * 1.3 + 0.8, "Lengths of answers in tokens by kind of question, before and after."
    )


def _interval(axes: Axes, metric: Metric, place: float, colour: str, marker: str, *, filled: bool) -> None:
    axes.plot([metric.low, metric.high], [place, place], color=colour, linewidth=2, alpha=0.55)
    axes.plot([metric.value], [place], marker, color=colour, markerfacecolor=colour if filled else "none", markersize=6)


def _box(axes: Axes, values: Sequence[float], place: float, colour: str) -> None:
    line = {"color": colour, "linewidth": 1.3}
    axes.boxplot(
        [values], orientation="horizontal", positions=[place], widths=0.24, whis=(0, 100), manage_ticks=False,
        boxprops=line, whiskerprops=line, capprops=line, medianprops={"color": colour, "linewidth": 3},
    )  # fmt: skip


def _label_rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)


def _plot(draw: Callable[[Axes, Ink], None], height: float, description: str) -> Plot:
    return Plot(_svg(draw, height, LIGHT), _svg(draw, height, DARK), description)


def _svg(draw: Callable[[Axes, Ink], None], height: float, ink: Ink) -> str:
    """Draw one figure; the same figures give the same bytes."""
    style: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "report", "font.family": "sans-serif", "font.size": LETTERS,
        "text.color": ink.text, "axes.labelcolor": ink.text, "axes.edgecolor": ink.text, "xtick.color": ink.text,
        "ytick.color": ink.text, "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure.add_subplot(), ink)
        file = io.BytesIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()
