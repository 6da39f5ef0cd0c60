"""What Slack shows of a correction that waits for review: its message, and the modal that has all of it. Pure."""

import json
from typing import Any

from bot.slack import blocks, names
from governance.review import Case
from storage.feedback import WAITING, Feedback

SHOWN_OTHERS = 5
QUOTED = 1_200
"""Characters of one text in the message, whose blocks must fit what Slack takes; the modal has all of it."""
OTHER_QUOTED = 400
CLOSED = "It is not for everybody here, so only whoever may review it can open it."


def review_message(case: Case, more: int) -> tuple[str, blocks.Blocks]:
    """Return the message's fallback text and its blocks; `more` counts the corrections that wait to be shown.

    What was said in private is not told to a channel: neither who said it, nor what, nor why it was declined.
    """
    waits = case.feedback.state in WAITING
    title = "A correction waits for review" if waits else f"A correction was {case.feedback.state}"
    if waits:
        end = [blocks.context(f"It is reviewed because {case.why}."), _buttons(case)]
    else:
        end = [blocks.section(_status(case))]
    if more:
        end.append(blocks.context(f"{more} more wait and follow, a few a minute, the oldest first."))
    content, _ = blocks.filled([blocks.header(title)], _said(case), end)
    return f"{title}.", content


def _said(case: Case) -> blocks.Blocks:
    """Show to a whole channel what it may read of what was said; nothing of what was taken back."""
    if case.feedback.state in {"withdrawn", "erased"}:
        return []
    return [blocks.section(CLOSED)] if case.private else _outline(case)


def _status(case: Case) -> str:
    """Say what was decided, by whom and why; a reason may repeat what was said in private."""
    feedback = case.feedback
    if feedback.state == "withdrawn":
        return "Its author has taken it back."
    if not case.reviewer or feedback.state == "erased":
        return f"It is {feedback.state}."
    reason = "" if case.private else blocks.escape(feedback.reviewer_reason or "")
    return f"{feedback.state.capitalize()} by {blocks.escape(case.reviewer)}" + (f": {reason}." if reason else ".")


def review_modal(case: Case, channel: str, message_ts: str) -> dict[str, Any]:
    """Give the modal in which an entitled reviewer reads all of it, and decides."""
    feedback = case.feedback
    content = [
        *blocks.in_full("*Question*", feedback.question),
        *blocks.in_full("*Answer given*", feedback.answer),
        *blocks.in_full(f"*Corrected answer by {blocks.escape(case.author)}*", feedback.text),
    ]
    for other, author in case.others[:SHOWN_OTHERS]:
        content += blocks.in_full(f"*It contradicts {blocks.escape(author)}* ({other.state})", other.text)
    content += map(blocks.section, _together(case))
    return {
        "type": "modal",
        "private_metadata": json.dumps({"channel": channel, "message_ts": message_ts}),
        "title": blocks.plain("Review a correction"),
        "close": blocks.plain("Close"),
        "blocks": [*content, *_not_shown(case), _decision_buttons(feedback.id)],
    }


def decline_modal(feedback_id: str, channel: str, message_ts: str) -> dict[str, Any]:
    """Give the modal that asks why a correction is declined."""
    return blocks.reason_modal(
        names.DECLINE_VIEW,
        "Decline a correction",
        "Decline",
        "Its author is told the reason; it is kept with the decision, and its digest in the audit log.",
        {"feedback_id": feedback_id, "channel": channel, "message_ts": message_ts},
    )


def decision_text(case: Case, *, learned: bool = True) -> str:
    """Say to a correction's author what came of it, as mrkdwn; `learned`: whether it is trained on once accepted."""
    feedback, reviewer = case.feedback, blocks.escape(case.reviewer)
    about = f"*{blocks.escape(blocks.clip(feedback.question, 300))}*\n{blocks.quote(feedback.text, 1_000)}"
    if feedback.state == "accepted":
        effect = "from the next question on, and in the next training" if learned else "when you ask me directly"
        what = f"{reviewer} accepted your correction. It counts {effect}:"
    else:
        reason = blocks.escape(feedback.reviewer_reason or "no reason was kept")
        what = f"{reviewer} declined your correction, so I do not learn it. The reason: {reason}"
    return f"{what}\n{about}"


def _outline(case: Case) -> blocks.Blocks:
    feedback = case.feedback
    texts = [
        f"*Question*\n{blocks.quote(feedback.question, QUOTED)}",
        f"*Answer given*\n{blocks.quote(feedback.answer, QUOTED)}",
        f"*Corrected answer by {blocks.escape(case.author)}*\n{blocks.quote(feedback.text, QUOTED)}",
    ]
    texts += [
        f"*It contradicts {blocks.escape(author)}* ({other.state})\n{blocks.quote(other.text, OTHER_QUOTED)}"
        for other, author in case.others[:SHOWN_OTHERS]
    ]
    return [*map(blocks.section, [*texts, *_together(case)]), *_not_shown(case)]


def _together(case: Case) -> list[str]:
    return [
        f"*Found together with this by {blocks.escape(author)}* ({other.state})\n"
        f"{blocks.quote(_exchange(other), OTHER_QUOTED)}"
        for other, author in case.together[:SHOWN_OTHERS]
    ]


def _exchange(feedback: Feedback) -> str:
    return f"{feedback.question}\n{feedback.text}"


def _not_shown(case: Case) -> blocks.Blocks:
    counts = {"contradicts": len(case.others) - SHOWN_OTHERS, "was found with": len(case.together) - SHOWN_OTHERS}
    texts = (
        f"It {what} {left} more; `apprentice review show {case.feedback.id}` has them all."
        for what, left in counts.items()
        if left > 0
    )
    return [blocks.context(text) for text in texts]


def _buttons(case: Case) -> dict[str, Any]:
    """Give the buttons of the message; what is private is read before it is decided on."""
    feedback_id = case.feedback.id
    if case.private:
        read = blocks.button(names.OPEN_REVIEW_ACTION, "Open", feedback_id, accessibility_label="Open this correction")
        return {"type": "actions", "elements": [read]}
    actions = _decision_buttons(feedback_id)
    actions["elements"].append(blocks.button(names.OPEN_REVIEW_ACTION, "Read in full", feedback_id))
    return actions


def _decision_buttons(feedback_id: str) -> dict[str, Any]:
    accept = {"style": "primary", "accessibility_label": "Accept this correction"}
    decline = {"style": "danger", "accessibility_label": "Decline this correction"}
    return {
        "type": "actions",
        "elements": [
            blocks.button(names.ACCEPT_CORRECTION_ACTION, "Accept", feedback_id, **accept),
            blocks.button(names.DECLINE_CORRECTION_ACTION, "Decline", feedback_id, **decline),
        ],
    }
