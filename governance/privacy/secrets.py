"""Keys, tokens, private keys and passwords: the known shapes that `detect-secrets` keeps, entropy, and cue words."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from governance.privacy.cues import CODE, KEY, LOCK, LOGIN, NETWORK, USER, cue_before, cued
from governance.privacy.findings import Finding

PLUGINS: tuple[type[RegexBasedDetector], ...] = (
    AWSKeyDetector, AzureStorageKeyDetector, BasicAuthDetector, DiscordBotTokenDetector, GitHubTokenDetector,
    GitLabTokenDetector, MailchimpDetector, OpenAIDetector, PypiTokenDetector, SendGridDetector,
    SlackDetector, SquareOAuthDetector, StripeDetector, TelegramBotTokenDetector, TwilioKeyDetector,
)  # fmt: skip
"""Those of `detect-secrets` that know a vendor's shape; its entropy and keyword plugins are made for source code."""
PREFIXED = re.compile(
    r"\b(?:(?:sk-(?:proj-|ant-)?|AIza|npm_|xapp-|hf_|ya29\.|dop_v1_|shpat_)[\w-]{16,}|eyJ[\w-]{8,}(?:\.[\w-]+){1,2})"
)
"""Beginnings that vendors document and that `detect-secrets` 1.5.0 does not have, or has in an older form or a part of
only; what begins with eyJ is JSON in base64, as the parts of a JSON Web Token (RFC 7519) are."""
PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\s\S]*?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)?"
    r"|PuTTY-User-Key-File-\d"
)
RANDOM = re.compile(r"(?<![\w/+.-])[\w/+-]{20,}={0,2}(?![\w/+-])")
MIN_BASE64_ENTROPY = 4.0
"""Bits a character, of 20 characters or more that mix capitals, small letters and digits; `detect-secrets`
asks for 4.5, which no string of fewer than 23 characters can have."""
MIN_HEX_ENTROPY = 3.0
"""Bits a character, as in `detect-secrets`; digests are hexadecimal too, so such a string needs a cue as well."""
HEX = re.compile(r"[0-9a-fA-F]{20,}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
REST = re.compile(r"[\w/+=-]*")

_OF = r"(?:(?:for|of|to|für|des|der|du|de|del|della|dello|van|do|w)(?: [\w'\u2019-]+){1,3}?\s)?"
_IS = r"(?:is|are|was|now|lautet|ist|heißt|est|es|è|jest|to)"
STATED = cued(LOGIN, r"[^\s,;]*[\d!#$%&*@^][^\s,;]*", rf"{_OF}{_IS}")
"""A word alone is no password ("the password is printed on the letter"): it has a digit or a sign in it."""
CODED = cued(
    CODE, r"\d{4,8}[A-Z#*]?(?![\w-]|[.,:]\d)", rf"{_OF}(?:{_IS})?|[^\d.!?\n:]{{1,30}}?(?:{_IS}|:)|[^\d.!?\n:]{{1,20}}"
)
_MIXED = r"(?=\S*\d)(?=\S*[^\W\d])[^\s,;]{6,}"
PAIRED = re.compile(rf"(?<!\w)(?:{USER}|{NETWORK})(?!\w)[^\n/]{{0,40}}\S\s+/\s+(?P<datum>{_MIXED})", re.IGNORECASE)
"""A name and its password, with a stroke between them."""
NETWORKED = re.compile(
    rf"(?<!\w)(?:{NETWORK})(?!\w)[^.!?\n]{{0,60}}?\b(?:key|schlüssel|clé|clave|chiave|code|sleutel|klucz|con)\b"
    rf"\s*:?\s*(?:{_IS}\s+)?(?P<datum>{_MIXED})",
    re.IGNORECASE,
)
UNLOCKED = re.compile(
    rf"(?<!\w)(?:{LOCK})(?!\w)[^.!?\n\d]{{0,40}}?\b(?:with|type|enter|is|mit|avec|tapez|est|con|met|kodem|to)\s+"
    r"(?P<datum>\d{4,6}|\d{2}(?:[ -]\d{2}){2})(?![\w%°]|[.,:-]?\d| ?(?:°|degrees|euros?|hours?|uhr|h)\b)",
    re.IGNORECASE,
)
"""The code of an alarm or a safe that is called none."""
STATING = re.compile(rf"(?:[:=]|\b{_IS})\s*$")
CLOSING = ".,;:?)\"'»\u201d"
"""Marks that end a sentence or a quotation; an exclamation mark may well be the last character of a password."""
MIN_PASSWORD = 5
KEY_BEFORE = cue_before(KEY)


def find_secrets(text: str) -> Iterator[Finding]:
    """Give private keys, keys and tokens, and passwords."""
    for match in PRIVATE_KEY.finditer(text):
        yield Finding(match.start(), match.end(), "private_key", "private-key")
    for plugin in _plugins():
        yield from _of_plugin(plugin, text)
    for match in PREFIXED.finditer(text):
        if any(character.isdigit() for character in match[0]):
            yield Finding(match.start(), match.end(), "key", "key-prefix")
    yield from _random(text)
    yield from _passwords(text)


@cache
def _plugins() -> tuple[RegexBasedDetector, ...]:
    return tuple(plugin() for plugin in PLUGINS)


def _of_plugin(plugin: RegexBasedDetector, text: str) -> Iterator[Finding]:
    """Give what a plugin finds; its patterns may end before a key does, so the rest of the word goes with it."""
    has_password = isinstance(plugin, BasicAuthDetector)  # in the group of its pattern
    for pattern in plugin.denylist:
        for match in pattern.finditer(text):
            rest = REST.match(text, match.end())
            assert rest is not None
            if has_password:
                yield Finding(match.start(1), match.end(1), "password", plugin.secret_type)
            else:
                yield Finding(match.start(), rest.end(), "key", plugin.secret_type)


def _random(text: str) -> Iterator[Finding]:
    for match in RANDOM.finditer(text):
        word = match[0]
        if HEX.fullmatch(word):
            random = entropy(word) >= MIN_HEX_ENTROPY and KEY_BEFORE.search(text[: match.start()]) is not None
        else:
            mixed = re.search("[a-z]", word) and re.search("[A-Z]", word) and re.search("[0-9]", word)
            random = bool(mixed) and entropy(word) >= MIN_BASE64_ENTROPY
        if random:
            yield Finding(match.start(), match.end(), "key", "entropy")


def _passwords(text: str) -> Iterator[Finding]:
    for match in STATED.finditer(text):
        start, datum = match.start("datum"), match["datum"].rstrip(CLOSING)
        stated = not datum.isdigit() or STATING.search(text[match.start() : start])  # "password 12345" counts something
        if len(datum) >= MIN_PASSWORD and stated:
            yield Finding(start, start + len(datum), "password", "password-cue")
    for pattern in (PAIRED, NETWORKED):
        for match in pattern.finditer(text):
            end = match.start("datum") + len(match["datum"].rstrip(CLOSING))
            yield Finding(match.start("datum"), end, "password", "network-cue")
    for pattern in (CODED, UNLOCKED):
        for match in pattern.finditer(text):
            yield Finding(match.start("datum"), match.end("datum"), "password", "code-cue")


def entropy(text: str) -> float:
    """Return Shannon's entropy of the characters, in bits a character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
