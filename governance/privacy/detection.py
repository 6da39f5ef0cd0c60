"""All detectors on one text."""

from collections.abc import Collection

from governance.privacy.contacts import find_contacts
from governance.privacy.findings import Finding, settle
from governance.privacy.identifiers import find_identifiers
from governance.privacy.persons import find_personal
from governance.privacy.secrets import find_secrets

VERSION = 1
"""Raised when a detector changes: what was kept for training is then looked at again."""


def find(text: str, own_domains: Collection[str] = ()) -> list[Finding]:
    """Return the personal data and secrets in a text, in its order, none overlapping.

    `own_domains`: whose e-mail addresses are those of colleagues, which everybody may know.
    """
    contacts = find_contacts(text, own_domains)
    return settle([*find_secrets(text), *find_identifiers(text), *find_personal(text), *contacts])
