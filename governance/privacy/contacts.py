"""How somebody or something is reached: e-mail addresses, telephone numbers, IP addresses."""

import re
from collections.abc import Collection, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import phonenumbers

from governance.privacy.cues import PHONE, cue_before
from governance.privacy.findings import Finding

EMAIL = re.compile(r"(?<![\w.+'-])[\w.+'-]+@(?:[\w-]+\.)+[^\W\d_]{2,}(?![\w-])")
ROLES = re.compile(
    r"abuse|accounts|accounting|admin|applications|billing|biuro|booking|bookings|careers|compliance|contact|"
    r"contacto|datenschutz|desk|dpo|empfang|facilities|feedback|finance|frontdesk|hello|help|helpdesk|hostmaster|"
    r"hr|info|it|jobs|kontakt|legal|mail|marketing|media|noreply|no-reply|office|orders|payroll|personal|"
    r"postmaster|press|privacy|purchasing|reception|recruiting|rezeption|sales|security|service|servicedesk|shop|"
    r"support|team|webmaster"
)
"""Mailboxes of a function rather than of a person: those of RFC 2142, and what organisations name theirs."""
TELEPHONE = re.compile(r"(?<![\w.,/+-])(?:\+\s?|\(?)\d(?:[ ()./-]{0,2}\d){6,14}(?![\w/-]|[.,]\d)")
DATE = re.compile(r"\d{1,2}([./-])\d{1,2}\1(?:19|20)?\d{2}|(?:19|20)\d{2}([./-])\d{1,2}\2\d{1,2}")
COUNTRIES = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "AT", "CH", "BE")
"""Whose national ways to write a number are known, by ISO 3166; the form that begins with + is known for all."""
PHONE_BEFORE = cue_before(PHONE)
V4 = re.compile(r"(?<![\w.:])\d{1,3}(?:\.\d{1,3}){3}(?![\w]|\.\d)")
V6 = re.compile(r"(?<![\w:.])(?=(?:[0-9A-Fa-f]*:){2,})[0-9A-Fa-f:]{6,39}(?![\w:])")
VERSION_BEFORE = re.compile(r"(?:version|release|wersja|versión|versione|v\.?)\s*$", re.IGNORECASE)


def find_contacts(text: str, own_domains: Collection[str] = ()) -> Iterator[Finding]:
    """Give e-mail addresses, telephone numbers and public IP addresses.

    A mailbox of a function, and every address at a domain of the organisation's own, is no datum of a person.
    """
    own = {domain.casefold() for domain in own_domains}
    for match in EMAIL.finditer(text):
        mailbox, _, domain = match[0].casefold().rpartition("@")
        if not ROLES.fullmatch(mailbox) and domain not in own:
            yield Finding(match.start(), match.end(), "email", "email")
    for match in TELEPHONE.finditer(text):
        if _is_phone(match[0], text[: match.start()]):
            yield Finding(match.start(), match.end(), "phone", "libphonenumber")
    for pattern in (V4, V6):
        for match in pattern.finditer(text):
            if _is_public(match[0]) and not VERSION_BEFORE.search(text[: match.start()]):
                yield Finding(match.start(), match.end(), "ip", "ip-address")


def _is_phone(candidate: str, before: str) -> bool:
    """Tell a telephone number: it has its country's code, is written in groups after a 0, or follows a cue."""
    if DATE.fullmatch(candidate):
        return False
    if candidate.startswith(("+", "00")):
        return _parses("+" + candidate.lstrip("+ ").removeprefix("00"), None)
    written = candidate.startswith(("0", "(")) and not candidate.isdigit()
    return bool(written or PHONE_BEFORE.search(before)) and any(_parses(candidate, country) for country in COUNTRIES)


def _parses(candidate: str, country: str | None) -> bool:
    try:
        number = phonenumbers.parse(candidate, country)
    except phonenumbers.NumberParseException:
        return False
    return phonenumbers.is_possible_number(number) if country is None else phonenumbers.is_valid_number(number)


def _is_public(candidate: str) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(candidate)
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        return not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast)
    return address.is_global
