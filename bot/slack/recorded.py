"""What a person is told of their feedback: what was kept, what comes of it, and how to take it back. Pure."""

from collections.abc import Mapping
from typing import Any

from bot.slack import names
from bot.slack.blocks import Blocks, button, clip, escape, plain, section
from bot.slack.whisper import Notice
from governance.comparing import SOURCE as COMPARISON
from governance.privacy.findings import in_words
from storage.feedback import Feedback
from storage.interactions import Interaction

VOTES = {
    "up": "Recorded: a good answer. Thank you; it tells the next training what to keep.",
    "down": "Recorded: a bad answer. Press *Correct this* to write the right one, and I can learn it.",
}
REASONED = "Recorded: a bad answer, because {reason}. Press *Correct this* to write a better one, and I can learn it."
REASONS: Mapping[str, tuple[str, str]] = {
    "wrong": ("Wrong", "it is wrong"),
    "outdated": ("Outdated", "it is outdated"),
    "incomplete": ("Incomplete", "something is missing"),
    "unsafe": ("Unsafe", "it is not safe"),
    "style": ("Badly put", "it is badly put"),
}
"""Each reason of a vote, as it is chosen, and as it is told."""
CORRECTIONS = {
    "accepted": (
        "Recorded, thank you. Your correction counts from the next question on, and goes into the next training; what "
        "comes of that goes live only after it was tested and a person approved it."
    ),
    "pending_review": "Recorded, thank you. A reviewer looks at your correction before it is used.",
}
PRIVATE = {
    "up": "Recorded: a good answer. Thank you.",
    "correction": (
        "Recorded, thank you. Your correction counts when you ask me directly. It was said in private, so nobody else "
        "is answered with it, and it is not trained on."
    ),
}
"""What is told instead where the policy does not let what was said in private be trained on."""
KEPT = "Recorded, thank you."
MASKED = "I left out what looks like {kinds}: it is neither kept nor learned."
SET_ASIDE = "Set aside: it may hold {kinds}. A reviewer looks at it before anything else happens with it."
TAKEN_BACK = {
    "up": "Taken back: your vote on this answer does not count any more.",
    "down": "Taken back: your vote on this answer does not count any more.",
    "correction": "Taken back: your correction is not used any more.",
    "preference": "Taken back: your choice between the two answers does not count any more.",
}
LATER_VOTE = "Taken back. You voted on this answer again since, and that vote stands."
TAKEN_BACK_ALREADY = "You have taken that back already."
VOTED_OTHERWISE = "Your vote against this answer does not stand any more, so I did not keep what is wrong with it."
USED = "It was used in adapter `{adapter}`; the next training leaves it out."
REPLY_GONE = "I do not have what you wrote any more. Please write it again."
ASK = "Shall I take this as the correct answer to \u00ab{question}\u00bb?"
SHOWN_QUESTION = 300
SHOWN_CORRECTION = 2_000
"""Characters: escaped and with the question they still fit into what a section holds, unless most are "<" or "&"."""


def said(text: str) -> Notice:
    """Tell one sentence."""
    return Notice(text, [section(text)])


def recorded(feedback: Feedback, *, learned: bool = True) -> Notice:
    """Tell what was kept, with a button that takes it back; of a vote against an answer, ask what is wrong with it.

    `learned` says whether it is trained on once it is accepted.
    """
    if feedback.state == "withdrawn":
        return said(TAKEN_BACK_ALREADY)
    undo = button(
        names.WITHDRAW_ACTION, "Undo", feedback.id, accessibility_label="Undo: take back what was just recorded"
    )
    hidden = f" {MASKED.format(kinds=in_words(feedback.masked))}" if feedback.masked else ""
    if feedback.kind == "correction":
        return _with_actions(_kept(feedback, learned=learned) + hidden, undo)
    if feedback.kind == "up":
        return _with_actions((VOTES if learned else PRIVATE)["up"] + hidden, undo)
    correct = button(
        names.CORRECT_ACTION, "Correct this", feedback.interaction_id or "", accessibility_label="Correct this answer"
    )
    if feedback.reason:
        return _with_actions(REASONED.format(reason=REASONS[feedback.reason][1]) + hidden, correct, undo)
    return _with_actions(VOTES["down"] + hidden, _reasons(feedback.id), correct, undo)


def _kept(feedback: Feedback, *, learned: bool) -> str:
    if feedback.state == "quarantined":
        return SET_ASIDE.format(kinds=in_words(feedback.set_aside or []))
    if feedback.state == "accepted" and not learned:
        return PRIVATE["correction"]
    return CORRECTIONS.get(feedback.state, KEPT)


def taken_back(feedback: Feedback, adapter: str | None, *, voted_since: bool = False) -> Notice:
    """Tell that something does not count any more, and which adapter (None: none that matters) had learned it."""
    kind = "preference" if feedback.source == COMPARISON else feedback.kind
    text = LATER_VOTE if voted_since else TAKEN_BACK[kind]
    return said(f"{text} {USED.format(adapter=adapter[:12])}" if adapter else text)


def reply_question(about: Interaction, corrected: str, reply_ts: str) -> Notice:
    """Ask whether a reply is the correct answer to the question that was asked before it."""
    text = ASK.format(question=escape(clip(about.question, SHOWN_QUESTION)))
    quoted = "\n".join(f"> {line}" for line in escape(clip(corrected, SHOWN_CORRECTION)).splitlines())
    buttons = [
        button(names.TAKE_REPLY_ACTION, "Yes, that is right", reply_ts, style="primary"),
        button(names.EDIT_REPLY_ACTION, "Edit", reply_ts, accessibility_label="Edit the corrected answer first"),
        button(names.ASK_REPLY_ACTION, "No, answer it as a question", reply_ts),
    ]
    return Notice(text, [section(text), section(quoted), {"type": "actions", "elements": buttons}])


def _with_actions(text: str, *elements: dict[str, Any]) -> Notice:
    blocks: Blocks = [section(text), {"type": "actions", "elements": list(elements)}]
    return Notice(text, blocks)


def _reasons(feedback_id: str) -> dict[str, Any]:
    options = [{"text": plain(label), "value": f"{feedback_id}:{reason}"} for reason, (label, _) in REASONS.items()]
    return {
        "type": "static_select",
        "action_id": names.VOTE_REASON_ACTION,
        "placeholder": plain("What is wrong with it?"),
        "options": options,
    }
