"""A blind comparison as blocks: two answers and four buttons, and later which was which. Pure."""

from typing import NamedTuple

from bot.slack import names
from bot.slack.blocks import Blocks, button, clip, context, escape, section
from bot.slack.whisper import Notice
from storage.adapters import Adapter
from storage.comparisons import BlindComparison
from storage.interactions import Interaction

ANSWER_LIMIT = 4_000
"""Characters of each answer; two fit, with the question and the buttons, into the blocks of one message."""
FALLBACK_LIMIT = 1_000
QUESTION_LIMIT = 500
BUTTONS = {"a": "A is better", "b": "B is better", "both": "Both good", "neither": "Neither"}
WHICH = "Which answer is better? You are told whose they are once you have chosen."
RECORDED = {
    "a": "Recorded: you prefer answer A. It is kept with the other one as a pair that training learns from.",
    "b": "Recorded: you prefer answer B. It is kept with the other one as a pair that training learns from.",
    "both": "Recorded: both are good answers.",
    "neither": "Recorded: neither is a good answer.",
}
CHOSEN_BEFORE = "You had chosen before, and that stands."


class Shown(NamedTuple):
    """Two answers to one question, A first."""

    a: Interaction
    b: Interaction


def comparison_notice(comparison_id: str, shown: Shown) -> Notice:
    """Show two answers without names, and ask which is better."""
    buttons = [button(names.PREFER_ACTIONS[key], text, f"{comparison_id}:{key}") for key, text in BUTTONS.items()]
    return Notice(
        _fallback(shown),
        [
            *_answers(shown, "*Answer A*", "*Answer B*"),
            section(WHICH),
            {"type": "actions", "elements": buttons},
        ],
    )


def revealed(
    comparison: BlindComparison, shown: Shown, adapters: tuple[Adapter | None, Adapter | None], *, before: bool
) -> Notice:
    """Tell whose the answers are (None: the base model's) and what was recorded, with a button that takes it back.

    `before`: the choice that stands was made before, and is another one.
    """
    said = " ".join([RECORDED[str(comparison.preferred)], *([CHOSEN_BEFORE] if before else [])])
    a, b = map(_name, adapters)
    undo = button(
        names.WITHDRAW_ACTION, "Undo", comparison.feedback_ids[0], accessibility_label="Undo: take back your choice"
    )
    return Notice(
        f"{said} A is {a}, B is {b}.",
        [
            *_answers(shown, f"*Answer A* is {a}", f"*Answer B* is {b}"),
            section(said),
            {"type": "actions", "elements": [undo]},
        ],
    )


def _answers(shown: Shown, a: str, b: str) -> Blocks:
    return [
        context(f"You asked: {escape(clip(shown.a.question, QUESTION_LIMIT))}"),
        section(a),
        {"type": "markdown", "text": clip(shown.a.answer, ANSWER_LIMIT)},
        section(b),
        {"type": "markdown", "text": clip(shown.b.answer, ANSWER_LIMIT)},
    ]


def _fallback(shown: Shown) -> str:
    a, b = (escape(clip(each.answer, FALLBACK_LIMIT)) for each in shown)
    return f"{WHICH}\nA: {a}\nB: {b}"


def _name(adapter: Adapter | None) -> str:
    return f"adapter `{adapter.digest[:12]}` ({adapter.state})" if adapter else "the base model"
