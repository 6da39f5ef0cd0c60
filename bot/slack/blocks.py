"""Everything that Slack shows, as blocks. Pure: values in, blocks out."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bot.slack import names
from governance.gates import GateResult, worst_first
from governance.reasons import MAX_REASON_LENGTH
from governance.user_groups import is_group
from learning.evaluation import Change
from storage.interactions import Interaction

Blocks = list[dict[str, Any]]

SECTION_LIMIT = 3_000
"""Characters of a section's text, and of a text input's content (Slack's limits)."""
HEADER_LIMIT = 150
MESSAGE_BLOCKS = 50
MESSAGE_CHARACTERS = 12_500
"""Of all blocks of a message as JSON; beyond about 13,200 Slack answers `msg_blocks_too_long` (bolt-js issue 2509)."""
TEXT_LIMIT = 8_000
"""Characters of one text in a modal; a few such texts fit into the 250,000 of a view in any script."""
SHOWN_CHANGES = 15
VERDICTS = {"gained": ":white_check_mark: right now:", "lost": ":x: wrong now:"}
KINDS = {
    "as_told": "as it was told",
    "in_other_words": "in other words",
    "general": "a general question",
    "unsafe": "a request to refuse",
    "canary": "a canary, whose answer must not change",
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


def moment(when: datetime) -> str:
    """Give a point in time in mrkdwn, which each reader sees in their own time zone; elsewhere UTC."""
    fallback = f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"<!date^{int(when.timestamp())}^{{date_short_pretty}} at {{time}}|{fallback}>"


def mention(named: str) -> str:
    """Name a person, or a user group, by their id, so that Slack tells them."""
    key = escape(named.rpartition("/")[2])
    return f"<!subteam^{key}>" if is_group(named) else f"<@{key}>"


def pieces(text: str, limit: int = SECTION_LIMIT) -> list[str]:
    """Escape a text that may be longer than one section, and cut it into as many pieces as it takes."""
    found = [""]
    for character in map(escape, text):
        if len(found[-1]) + len(character) > limit:
            found.append("")
        found[-1] += character
    return found


def in_full(title: str, text: str) -> Blocks:
    """Show a whole text below its title, in as many sections as it takes."""
    first, *more = pieces(clip(text, TEXT_LIMIT), SECTION_LIMIT - len(title) - 1)
    return [section(f"{title}\n{first or '(nothing)'}"), *map(section, more)]


def quote(text: str, limit: int) -> str:
    """Escape a text and set it off as a quotation of about `limit` characters at most."""
    return "\n".join(f"> {line}" for line in pieces(clip(text, limit), limit)[0].splitlines()) or "> (nothing)"


def filled(head: Blocks, more: Sequence[dict[str, Any]], tail: Blocks) -> tuple[Blocks, int]:
    """Put as many of the blocks `more` between head and tail as a message takes; return all, and how many those are."""
    for count in range(min(len(more), MESSAGE_BLOCKS - len(head) - len(tail)), -1, -1):
        content = [*head, *more[:count], *tail]
        if len(json.dumps(content, ensure_ascii=False)) <= MESSAGE_CHARACTERS:
            return content, count
    return [*head, *tail], 0


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


def correction_modal(interaction: Interaction, *, text: str = "", response_url: str = "") -> dict[str, Any]:
    """Give the modal in which a person edits an answer, or a `text` that is to replace it.

    `response_url` is that of the message from which it was opened, if what was recorded is to stand in its place.
    """
    about = {
        "interaction_id": interaction.id,
        "channel": interaction.channel,
        "thread_ts": interaction.thread_ts,
        "response_url": response_url,
    }
    return {
        "type": "modal",
        "callback_id": names.CORRECTION_VIEW,
        "private_metadata": json.dumps(about),
        "title": plain("Correct this answer"),
        "submit": plain("Send"),
        "close": plain("Cancel"),
        "blocks": [
            section(f"*The question was*\n{quote(interaction.question, SECTION_LIMIT // 2)}"),
            text_input(
                names.CORRECTION_BLOCK,
                "The answer should have been",
                hint="Write the whole answer, as you would want the next person to read it.",
                initial=text or interaction.answer,
            ),
        ],
    }


def rejection_modal(proposal_id: str, channel: str, message_ts: str) -> dict[str, Any]:
    """Give the modal that asks why an adapter is rejected."""
    return reason_modal(
        names.REJECTION_VIEW,
        "Reject this adapter",
        "Reject",
        "The reason is kept with the decision, its digest in the audit log, and shown in the channel.",
        {"proposal_id": proposal_id, "channel": channel, "message_ts": message_ts},
    )


def reason_modal(
    callback_id: str, title: str, submit: str, hint: str, about: dict[str, str], text: str = ""
) -> dict[str, Any]:
    """Give a modal that asks why, below a `text` (mrkdwn) if there is one; `about` comes back with the reason."""
    return {
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": json.dumps(about),
        "title": plain(title),
        "submit": plain(submit),
        "close": plain("Cancel"),
        "blocks": [
            *([section(text)] if text else []),
            text_input(names.REASON_BLOCK, "Why?", hint=hint, limit=MAX_REASON_LENGTH),
        ],
    }


def notice_modal(title: str, text: str) -> dict[str, Any]:
    """Give a modal that only says something."""
    return {"type": "modal", "title": plain(clip(title, 24)), "close": plain("Close"), "blocks": [section(text)]}


def loading_modal() -> dict[str, Any]:
    """Give the modal that stands until its content is known."""
    return notice_modal("One moment", "Looking that up…") | {"callback_id": names.LOADING_VIEW}


def proposal_message(
    *,
    adapter: str,
    gates: Sequence[GateResult],
    changes: Sequence[Change],
    status: str,
    decidable: bool,
    proposal_id: str,
    details: Sequence[str] = (),
    live: bool = False,
) -> Blocks:
    """Give the message that asks for approval, or that tells what was decided once `decidable` is false.

    While the adapter is `live` it can be rolled back. `details` are lines of small print, as mrkdwn.
    """
    head = [
        header("A new adapter asks for approval" if decidable else "A proposed adapter"),
        section(f"Adapter `{adapter[:12]}`. {status}"),
        *(context(line) for line in details),
        section("*Gates*\n" + "\n".join(_gate_line(gate) for gate in worst_first(gates)) if gates else "*Gates*\nnone"),
    ]
    tail = [approve_or_reject(names.APPROVE_ACTION, names.REJECT_ACTION, proposal_id)] if decidable else []
    tail += [_roll_back(proposal_id)] if live else []
    if not changes:
        return [*head, *tail]
    show_all = button(names.CHANGES_ACTION, "Show all answers that change", proposal_id)
    head.append(section(count_changes(changes)) | {"accessory": show_all})
    shown, count = filled(head, [section(_change(change)) for change in lost_first(changes)[:SHOWN_CHANGES]], tail)
    if count < len(changes):
        more = context(f"and {len(changes) - count} more: press *Show all answers that change*.")
        shown.insert(len(head) + count, more)
    return shown


def lost_first(changes: Sequence[Change]) -> list[Change]:
    """Put the answers that become wrong before those that become right."""
    return sorted(changes, key=lambda change: change.verdict != "lost")


def count_changes(changes: Sequence[Change]) -> str:
    """Say how many answers become right, and how many wrong."""
    lost = sum(change.verdict == "lost" for change in changes)
    return f"*Answers that change sides*: {len(changes) - lost} become right, {lost} become wrong"


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
        f"before: {escape(clip(change.before, 400)) or '(nothing)'}\n"
        f"after: {escape(clip(change.after, 400)) or '(nothing)'}"
    )


def approve_or_reject(approve_action: str, reject_action: str, value: str) -> dict[str, Any]:
    """Give the two buttons by which a proposal is decided."""
    return {
        "type": "actions",
        "elements": [
            button(approve_action, "Approve", value, style="primary"),
            button(reject_action, "Reject", value, style="danger"),
        ],
    }


def _roll_back(proposal_id: str) -> dict[str, Any]:
    return {
        "type": "actions",
        "elements": [button(names.ROLL_BACK_ACTION, "Roll back", proposal_id, style="danger")],
    }


def _feedback_button(text: str, value: str) -> dict[str, Any]:
    return {"text": plain(text), "accessibility_label": text, "value": value}
