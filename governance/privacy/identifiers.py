"""National identifiers of several countries, cards and IBANs, each with the check that `python-stdnum` has for it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stdnum import iban, luhn
from stdnum.at import vnr
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.dk import cpr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.ie import pps
from stdnum.in_ import aadhaar
from stdnum.it import codicefiscale
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.pt import nif
from stdnum.se import personnummer
from stdnum.us import ssn

from governance.privacy.cues import cue_before
from governance.privacy.findings import Finding

CARD = re.compile(r"(?<![\d.,+-])[2-6]\d{3}(?:[ -]?\d){8,15}(?![\d]|[.,-]\d)")
CARD_LENGTHS = range(13, 20)
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")


@dataclass(frozen=True)
class Identifier:
    """A national identifier: its shape, its check, and the cue without which too much else would pass (None: none)."""

    name: str
    shape: re.Pattern[str]
    is_valid: Callable[[str], bool]
    cue: re.Pattern[str] | None = None


def _identifier(name: str, shape: str, is_valid: Callable[[str], bool], cue: str = "") -> Identifier:
    pattern = re.compile(rf"(?<![\w.,/-])(?:{shape})(?![\w/]|[.,-]\d)")
    return Identifier(name, pattern, is_valid, cue_before(cue) if cue else None)


def _is_nino(number: str) -> bool:
    """Check the letters of a British National Insurance number (HMRC manual NIM39110); it has no check digit."""
    first, second = number[0], number[1]
    return (
        first not in "DFIQUV"
        and second not in "DFIOQUV"
        and number[:2] not in {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}
    )


IDENTIFIERS = (
    _identifier("us-ssn", r"\d{3}-\d{2}-\d{4}", ssn.is_valid),
    _identifier("us-ssn", r"\d{3} ?\d{2} ?\d{4}", ssn.is_valid, r"ssn|social security(?: number| no\.?)?"),
    _identifier("gb-nino", r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]", _is_nino),
    _identifier("gb-nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", nhs.is_valid, r"nhs(?: number| no\.?)?"),
    _identifier("ie-pps", r"\d{7}[A-W][A-IW]?", pps.is_valid, r"ppsn?(?: number| no\.?)?"),
    _identifier("ca-sin", r"\d{3}[ -]?\d{3}[ -]?\d{3}", sin.is_valid, r"sin|nas|social insurance(?: number| no\.?)?"),
    _identifier("in-aadhaar", r"\d{4} ?\d{4} ?\d{4}", aadhaar.is_valid, r"aadhaar"),
    _identifier("br-cpf", r"\d{3}\.\d{3}\.\d{3}-\d{2}", cpf.is_valid),
    _identifier(
        "de-idnr",
        r"\d{2} ?\d{3} ?\d{3} ?\d{3}",
        idnr.is_valid,
        r"steuer-?(?:id|identifikations)\w*(?:-?nr\.?)?|idnr\.?|tin",
    ),
    _identifier("at-vnr", r"\d{4} ?\d{6}", vnr.is_valid, r"(?:sv|sozialversicherungs|versicherungs)-?(?:nummer|nr\.?)"),
    _identifier("ch-ahv", r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}", ahv.is_valid),
    _identifier(
        "fr-nir", r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", nir.is_valid
    ),
    _identifier("be-nn", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", nn.is_valid),
    _identifier("be-nn", r"\d{11}", nn.is_valid, r"rijksregister\w*|registre national|national register"),
    _identifier("es-dni", r"\d{8}-?[A-Z]", dni.is_valid),
    _identifier("es-nie", r"[XYZ]-?\d{7}-?[A-Z]", nie.is_valid),
    _identifier("pt-nif", r"\d{3} ?\d{3} ?\d{3}", nif.is_valid, r"nif|contribuinte"),
    _identifier(
        "it-cf", r"[A-Z]{6}[\dLMNP-V]{2}[A-EHLMPR-T][\dLMNP-V]{2}[A-Z][\dLMNP-V]{3}[A-Z]", codicefiscale.is_valid
    ),
    _identifier("nl-bsn", r"\d{4}\.?\d{2}\.?\d{3}", bsn.is_valid, r"bsn|burgerservicenummer|sofinummer"),
    _identifier("pl-pesel", r"\d{11}", pesel.is_valid, r"pesel"),
    _identifier("cz-rc", r"\d{6}/\d{3,4}", rc.is_valid),
    _identifier("se-pnr", r"(?:\d{2})?\d{6}[-+]\d{4}", personnummer.is_valid, r"person(?:nummer|nr)|pnr"),
    _identifier("dk-cpr", r"\d{6}-?\d{4}", cpr.is_valid, r"cpr(?:-?(?:nummer|nr\.?))?"),
    _identifier("fi-hetu", r"\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y]", hetu.is_valid),
    _identifier("no-fnr", r"\d{6} ?\d{5}", fodselsnummer.is_valid, r"f(?:ø|o)dselsnummer|personnummer"),
)
"""Where most strings of a shape are something else, or one digit is all that is checked, a cue is asked for."""


def find_identifiers(text: str) -> Iterator[Finding]:
    """Give national identifiers, card numbers and IBANs."""
    for each in IDENTIFIERS:
        for match in each.shape.finditer(text):
            told = each.cue is None or each.cue.search(text[: match.start()])
            if told and each.is_valid(match[0].replace(" ", "")):
                yield Finding(match.start(), match.end(), "national_id", each.name)
    for match in CARD.finditer(text):
        number = re.sub(r"[ -]", "", match[0])
        if len(number) in CARD_LENGTHS and len(set(number)) > 1 and luhn.is_valid(number):
            yield Finding(match.start(), match.end(), "card", "card-luhn")
    for match in IBAN.finditer(text):
        yield from _iban(match)


def _iban(match: re.Match[str]) -> Iterator[Finding]:
    """Give the longest beginning of the match, cut at its spaces, that is an IBAN: a word may follow it."""
    number = match[0]
    while number and not iban.is_valid(number):
        number = number.rpartition(" ")[0]
    if number:
        yield Finding(match.start(), match.start() + len(number), "iban", "iban-check")
