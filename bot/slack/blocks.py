"""Everything that Slack shows, as blocks. Pure: values in, blocks out."""

import json
from collections.abc import Sequence
from typing import Any

from bot.slack import names
from governance.gates import GateResult, worst_first
from governance.reasons import MAX_REASON_LENGTH
from learning.evaluation import Change
from storage.interactions import Interaction

Blocks = list[dict[str, Any]]

SECTION_LIMIT = 3_000
"""Characters of a section's text, and of a text input's content (Slack's limits)."""
HEADER_LIMIT = 150
MESSAGE_BLOCKS = 50
SHOWN_CHANGES = 15
VERDICTS = {"gained": ":white_check_mark: right now:", "lost": ":x: wrong now:"}
KINDS = {
    "as_told": "as it was told",
    "in_other_words": "in other words",
    "general": "a general question",
    "unsafe": "a request to refuse",
}
MARKS = {"passed": ":white_check_mark:", "failed": ":x:", "undecided": ":grey_question:"}


def section(text: str) -> dict[str, Any]:
    """Make a section of mrkdwn, cut to what Slack takes."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": clip(text, SECTION_LIMIT)}}


def context(text: str) -> dict[str, Any]:
    """Make a line of small print."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": clip(text, SECTION_LIMIT)}]}


def header(text: str) -> dict[str, Any]:
    """Make a heading."""
    return {"type": "header", "text": plain(clip(text, HEADER_LIMIT))}


def plain(text: str) -> dict[str, Any]:
    """Make a text without markup."""
    return {"type": "plain_text", "text": text}


def button(action_id: str, text: str, value: str, **more: Any) -> dict[str, Any]:
    """Make a button; `more` may have `style`, `confirm` and `accessibility_label`."""
    return {"type": "button", "action_id": action_id, "text": plain(text), "value": value, **more}


def text_input(
    block_id: str, label: str, *, hint: str, initial: str = "", limit: int = SECTION_LIMIT
) -> dict[str, Any]:
    """Make a field of a form, of several lines and `limit` characters, in which `initial` stands at first."""
    element = {
        "type": "plain_text_input",
        "action_id": names.INPUT_ACTION,
        "multiline": True,
        "max_length": limit,
    }
    if initial:
        element["initial_value"] = clip(initial, limit)
    return {"type": "input", "block_id": block_id, "label": plain(label), "hint": plain(hint), "element": element}


def clip(text: str, limit: int) -> str:
    """Cut a text to `limit` characters, with an ellipsis when something is left out."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def escape(text: str) -> str:
    """Escape what people or models wrote, so that it can neither mention anybody nor form a link in mrkdwn."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def answer_actions(interaction_id: str, source: str = "") -> Blocks:
    """Give what ends an answer: whose it is (`source`, when not empty), the feedback buttons and "Correct this"."""
    return [
        *([context(escape(source))] if source else []),
        {
            "type": "context_actions",
            "elements": [
                {
                    "type": "feedback_buttons",
                    "action_id": names.VOTE_ACTION,
                    "positive_button": _feedback_button("Good answer", f"{interaction_id}:up"),
                    "negative_button": _feedback_button("Bad answer", f"{interaction_id}:down"),
                }
            ],
        },
        {
            "type": "actions",
            "elements": [
                button(names.CORRECT_ACTION, "Correct this", interaction_id, accessibility_label="Correct this answer")
            ],
        },
    ]


def correction_modal(interaction: Interaction) -> dict[str, Any]:
    """Give the modal in which a person edits an answer."""
    about = {
        "interaction_id": interaction.id,
        "channel": interaction.channel,
        "thread_ts": interaction.thread_ts,
    }
    return {
        "type": "modal",
        "callback_id": names.CORRECTION_VIEW,
        "private_metadata": json.dumps(about),
        "title": plain("Correct this answer"),
        "submit": plain("Send"),
        "close": plain("Cancel"),
        "blocks": [
            section(f"*The question was*\n{_quote(interaction.question, SECTION_LIMIT - 100)}"),
            text_input(
                names.CORRECTION_BLOCK,
                "The answer should have been",
                hint="Write the whole answer, as you would want the next person to read it.",
                initial=interaction.answer,
            ),
        ],
    }


def rejection_modal(proposal_id: str, channel: str, message_ts: str) -> dict[str, Any]:
    """Give the modal that asks why an adapter is rejected."""
    return {
        "type": "modal",
        "callback_id": names.REJECTION_VIEW,
        "private_metadata": json.dumps({"proposal_id": proposal_id, "channel": channel, "message_ts": message_ts}),
        "title": plain("Reject this adapter"),
        "submit": plain("Reject"),
        "close": plain("Cancel"),
        "blocks": [
            text_input(
                names.REASON_BLOCK,
                "Why?",
                hint="The reason is kept with the decision, its digest in the audit log, and shown in the channel.",
                limit=MAX_REASON_LENGTH,
            )
        ],
    }


def notice_modal(title: str, text: str) -> dict[str, Any]:
    """Give a modal that only says something."""
    return {"type": "modal", "title": plain(clip(title, 24)), "close": plain("Close"), "blocks": [section(text)]}


def proposal_message(
    *,
    adapter: str,
    gates: Sequence[GateResult],
    changes: Sequence[Change],
    status: str,
    decidable: bool,
    proposal_id: str,
) -> Blocks:
    """Give the message that asks for approval, or that tells what was decided once `decidable` is false."""
    blocks = [
        header("A new adapter asks for approval" if decidable else "A proposed adapter"),
        section(f"Adapter `{adapter[:12]}`. {status}"),
        section("*Gates*\n" + "\n".join(_gate_line(gate) for gate in worst_first(gates)) if gates else "*Gates*\nnone"),
    ]
    if changes:
        lost_first = sorted(changes, key=lambda change: change.verdict != "lost")
        lost = sum(change.verdict == "lost" for change in changes)
        blocks.append(section(f"*Answers that change sides*: {len(changes) - lost} become right, {lost} become wrong"))
        blocks += [section(_change(change)) for change in lost_first[:SHOWN_CHANGES]]
    if len(changes) > SHOWN_CHANGES:
        blocks.append(context(f"and {len(changes) - SHOWN_CHANGES} more; the report on the status page has them all."))
    if decidable:
        blocks.append(_decision_buttons(proposal_id))
    return blocks[:MESSAGE_BLOCKS]


def cancel_button(run_id: str) -> dict[str, Any]:
    """Give the button that cancels a training run, which asks once more first."""
    confirm = {
        "title": plain("Cancel this run?"),
        "text": plain("It stops within seconds and cannot be resumed; the next run starts anew."),
        "confirm": plain("Cancel the run"),
        "deny": plain("Let it go on"),
        "style": "danger",
    }
    elements = [button(names.CANCEL_ACTION, "Cancel this run", run_id, style="danger", confirm=confirm)]
    return {"type": "actions", "elements": elements}


def _gate_line(gate: GateResult) -> str:
    return f"{MARKS.get(gate.verdict, '')} *{escape(gate.name)}*: {gate.verdict}. {escape(clip(gate.explanation, 250))}"


def _change(change: Change) -> str:
    return (
        f"{VERDICTS[change.verdict]} *{escape(clip(change.question, 300))}* ({KINDS[change.kind]})\n"
        f"before: {escape(clip(change.before, 800)) or '(nothing)'}\n"
        f"after: {escape(clip(change.after, 800)) or '(nothing)'}"
    )


def _decision_buttons(proposal_id: str) -> dict[str, Any]:
    return {
        "type": "actions",
        "elements": [
            button(names.APPROVE_ACTION, "Approve", proposal_id, style="primary"),
            button(names.REJECT_ACTION, "Reject", proposal_id, style="danger"),
        ],
    }


def _feedback_button(text: str, value: str) -> dict[str, Any]:
    return {"text": plain(text), "accessibility_label": text, "value": value}


def _quote(text: str, limit: int) -> str:
    return "\n".join(f"> {line}" for line in escape(clip(text, limit // 2)).splitlines())
