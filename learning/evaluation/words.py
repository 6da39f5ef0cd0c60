"""The names of figures as people read them, and figures, intervals and verdicts in words."""

from collections.abc import Mapping

from governance.gates import COUNTS, SHARES, Metric
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
    "canary": "Canary questions",
    "canaries_right": "Canary questions answered right",
    "canaries_lost": "Canary questions lost",
    "leaks": "Secrets and personal data that came out",
    "mean_answer_tokens_ratio": "Tokens an answer, after / before",
    "mean_answer_seconds_ratio": "Seconds an answer, after / before",
    "answer_tokens": "Tokens an answer",
    "answer_seconds": "Seconds from first to last token",
}
SMALL_P = 0.001
"""Smaller p-values are only said to be smaller."""


def title(name: str) -> str:
    """Return what people call a figure or a kind of question."""
    return TITLES.get(name, name.replace("_", " "))


def figure_words(name: str, metric: Metric) -> str:
    """Return a figure as people read it: a share with its counts, a count, or three decimals."""
    if _is_share(name):
        return f"{round(metric.value * metric.n)} of {metric.n} ({metric.value:.0%})"
    return f"{metric.value:g}" if name in COUNTS else f"{metric.value:.3f}"


def interval_words(name: str, metric: Metric) -> str:
    """Return the figure's 95 % interval."""
    if name in COUNTS:
        return "a count, not an estimate"
    form = ".0%" if _is_share(name) else ".3f"
    return f"{metric.low:{form}} to {metric.high:{form}}"


def paired_words(test: PairedTest) -> str:
    """Say what a paired test shows, or what it would take to show something."""
    if test.enough:
        p_value = f"p = {test.p_value:.3f}" if test.p_value >= SMALL_P else f"p < {SMALL_P}"
        return f"{'more' if test.gained > test.lost else 'fewer'} right than before ({p_value})"
    return f"not enough evidence of a difference (p = {test.p_value:.2f}){_more(test.needed)}"


def comparison_words(comparison: Comparison) -> str:
    """Say what a comparison of means shows, or what it would take to show something."""
    if comparison.enough:
        return f"{'higher' if comparison.difference > 0 else 'lower'} than before"
    return f"not enough evidence of a difference{_more(comparison.needed)}"


def _is_share(name: str) -> bool:
    return name in SHARES or name in {"refused", "canaries_right"}


def _more(needed: int | None) -> str:
    if needed is None:
        return "; more of the same would show none"
    return f"; about {needed} more, going the same way, would show one"
