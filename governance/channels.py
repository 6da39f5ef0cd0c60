"""What can be set of a channel, and the digest under which the audit log knows it. Pure."""

import hashlib
import re
from dataclasses import asdict
from typing import get_args

import rfc8785

from storage.channels import Answers, ChannelSettings
from storage.domains import LABEL
from storage.errors import InvalidChannelSettingsError

LANGUAGES = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "et": "Estonian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hr": "Croatian",
    "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian",
    "lv": "Latvian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sk": "Slovak", "sl": "Slovenian", "sv": "Swedish", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip
"""ISO 639-1 codes of the languages that a channel can be answered in -> what a prompt calls them."""
MOST_TRUSTED = 50


def check_settings(settings: ChannelSettings) -> ChannelSettings:
    """Return the settings as they are kept.

    Raises:
        InvalidChannelSettingsError: something in them is not possible.

    """
    if settings.answers not in get_args(Answers):
        raise InvalidChannelSettingsError("answers", "Choose one of the ways to answer.")
    if settings.language != "auto" and settings.language not in LANGUAGES:
        raise InvalidChannelSettingsError("language", "Choose one of the languages.")
    if not re.fullmatch(LABEL, settings.domain):
        raise InvalidChannelSettingsError(
            "domain",
            "A domain is one word of small letters, digits and hyphens, at most 40, such as hr.",
        )
    if len(settings.trusted) > MOST_TRUSTED:
        raise InvalidChannelSettingsError("trusted", f"Name at most {MOST_TRUSTED} people, or nobody to trust all.")
    return settings


def settings_digest(settings: ChannelSettings) -> str:
    """Return the SHA-256, in hex, over the settings' canonical JSON (RFC 8785)."""
    return hashlib.sha256(rfc8785.dumps({**asdict(settings), "trusted": list(settings.trusted)})).hexdigest()
