"""All detectors on one text."""

from collections.abc import Callable, Collection, Iterator, Mapping

from governance.privacy.contacts import find_contacts
from governance.privacy.findings import Finding, settle
from governance.privacy.identifiers import find_identifiers
from governance.privacy.persons import find_personal
from governance.privacy.secrets import find_secrets

VERSION = 1
"""Raised when a detector changes: what was kept for training is then looked at again."""
DETECTORS: Mapping[str, Callable[[str], Iterator[Finding]]] = {
    "secrets": find_secrets,
    "identifiers": find_identifiers,
    "personal": find_personal,
}
"""Those that need to know nothing but the text; contacts also ask for the organisation's own domains."""


def find(text: str, own_domains: Collection[str] = ()) -> list[Finding]:
    """Return the personal data and secrets in a text, in its order, none overlapping.

    `own_domains`: whose e-mail addresses are those of colleagues, which everybody may know.
    """
    findings = [finding for detect in DETECTORS.values() for finding in detect(text)]
    return settle([*findings, *find_contacts(text, own_domains)])
