"""The loss curve of a run: read from the events of its trainer, and thinned out to be kept with the run."""

from collections.abc import Sequence

from learning.training import TrainingProgress

Curve = list[list[float]]
"""Pairs of a step and its loss (nats a token, weighted as the recipe says), by step."""

POINTS_KEPT = 200
"""About 4 kB in the database; more than a terminal is wide."""


def loss_curve(events: Sequence[TrainingProgress]) -> Curve:
    """Return the loss of each step; of a step that was taken again after an interruption, the later one."""
    losses = {event.step: event.loss for event in events if event.loss is not None}
    return [[step, losses[step]] for step in sorted(losses)]


def thinned(curve: Curve, points: int = POINTS_KEPT) -> Curve:
    """Return at most so many points of a curve, evenly spaced, its first and last among them."""
    if len(curve) <= points:
        return curve
    return [curve[round(place * (len(curve) - 1) / (points - 1))] for place in range(points)]
