"""What people see of a channel's settings: the greeting, the form, and what is said afterwards. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.slack import names
from bot.slack.blocks import Blocks, button, mention, plain, section
from governance.channels import LANGUAGES
from governance.user_groups import EVERYBODY
from storage.channels import Answers, ChannelSettings

ANSWERS: Mapping[Answers, str] = {
    "mentions": "When I am mentioned",
    "all": "Every message outside of people's threads",
    "off": "Never",
}
DOMAIN_LENGTH = 40
GREETING = (
    "Hello. Mention me with a question, and I answer in a thread. Under each answer you can say whether it is good, or "
    "correct it, and I learn from that. *Settings* says when I answer here, in which language, and whose corrections "
    "count without a review."
)


def greeting() -> tuple[str, Blocks]:
    """Give the message with which the bot comes into a channel: fallback text and blocks."""
    return GREETING.replace("*", ""), [section(GREETING), _settings_button()]


def off_notice(settings_by: Sequence[str]) -> tuple[str, Blocks]:
    """Say that the bot is off in a channel, and who can change that: fallback text and blocks."""
    who = "Any member who is not a guest" if EVERYBODY in settings_by else " or ".join(map(mention, settings_by))
    text = f"I am switched off in this channel. {who} can change that."
    return text, [section(text), _settings_button()]


def saved(settings: ChannelSettings) -> str:
    """Say what is in force, to whoever changed it."""
    when = {"mentions": "I answer when I am mentioned", "all": "I answer every message", "off": "I do not answer"}
    language = f", in {LANGUAGES[settings.language]}" if settings.language != "auto" else ""
    trusted = " and ".join(f"<@{user}>" for user in settings.trusted)
    review = f" Corrections of others than {trusted} are reviewed." if trusted else ""
    return f"Saved: {when[settings.answers]} in this channel{language}. Its domain is {settings.domain}.{review}"


def settings_modal(team: str, channel: str, settings: ChannelSettings) -> dict[str, Any]:
    """Give the form, in which the settings in force are chosen."""
    languages = {"auto": "As it comes", **dict(sorted(LANGUAGES.items(), key=lambda each: each[1]))}
    return {
        "type": "modal",
        "callback_id": names.SETTINGS_VIEW,
        "private_metadata": json.dumps({"team": team, "channel": channel}),
        "title": plain("Settings of this channel"),
        "submit": plain("Save"),
        "close": plain("Cancel"),
        "blocks": [
            _field(names.ANSWERS_BLOCK, "When do I answer?", _select(ANSWERS, settings.answers)),
            _field(
                names.LANGUAGE_BLOCK,
                "In which language?",
                _select(languages, settings.language),
                hint="The model is asked for it; how well it can is the model's matter.",
            ),
            _field(
                names.DOMAIN_BLOCK,
                "What are the questions here about?",
                {"type": "plain_text_input", "max_length": DOMAIN_LENGTH, "initial_value": settings.domain},
                hint="One word, kept with each answer. Leave it at 'default' unless you were told otherwise.",
            ),
            _field(
                names.TRUSTED_BLOCK,
                "Whose corrections need no review?",
                _people(settings.trusted),
                hint="With nobody here, the organisation's policy alone decides. It decides too where it is stricter.",
                optional=True,
            ),
        ],
    }


def _settings_button() -> dict[str, Any]:
    shown = button(names.SETTINGS_ACTION, "Settings", "open", accessibility_label="Settings of this channel")
    return {"type": "actions", "elements": [shown]}


def _field(
    block_id: str, label: str, element: dict[str, Any], *, hint: str = "", optional: bool = False
) -> dict[str, Any]:
    return {
        "type": "input",
        "block_id": block_id,
        "label": plain(label),
        "element": {"action_id": names.INPUT_ACTION, **element},
        "optional": optional,
        **({"hint": plain(hint)} if hint else {}),
    }


def _people(chosen: Sequence[str]) -> dict[str, Any]:
    return {"type": "multi_users_select", **({"initial_users": list(chosen)} if chosen else {})}


def _select(texts: Mapping[Any, str], chosen: str) -> dict[str, Any]:
    options = {value: {"text": plain(text), "value": value} for value, text in texts.items()}
    return {"type": "static_select", "options": list(options.values()), "initial_option": options[chosen]}
