"""What only a word beside it makes a personal datum: dates of birth, names, and numbers of records, cases, accounts."""

import re
from collections.abc import Iterator
from itertools import takewhile

from governance.privacy.cues import ACCOUNT, BORN, CASE, DOCKET, PERSON, RECORD, cued
from governance.privacy.findings import Finding, Kind

_MONTH = (
    r"października|septiembre|september|septembre|noviembre|diciembre|settembre|listopada|february|november|"
    r"december|dezember|novembre|décembre|febbraio|dicembre|februari|augustus|stycznia|kwietnia|sierpnia|września|"
    r"january|october|februar|oktober|janvier|février|juillet|octobre|febrero|octubre|gennaio|ottobre|januari|"
    r"czerwca|grudnia|august|januar|agosto|aprile|maggio|giugno|luglio|lutego|march|april|avril|enero|marzo|abril|"
    r"junio|julio|maart|marca|lipca|june|july|sept|märz|juni|juli|mars|juin|août|mayo|maja|may|jan|feb|mar|apr|"
    r"jun|jul|aug|sep|oct|nov|dec|mai|mei"
)
DATE = (
    r"\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d{2}|(?:19|20)\d{2}[./-]\d{1,2}[./-]\d{1,2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|\.)?\s(?:de\s)?(?:{_MONTH})\.?,?\s(?:de\s)?(?:19|20)\d{{2}}"
    rf"|(?:{_MONTH})\.?\s\d{{1,2}}(?:st|nd|rd|th)?,?\s(?:19|20)\d{{2}}|(?:{_MONTH})\s(?:de\s)?(?:19|20)\d{{2}}"
)
TITLE = re.compile(r"(?:(?:Mr|Mrs|Ms|Dr|Mme|Sr|Sra|Sig|Herr|Frau)\.?\s)*")
NAME = re.compile(r"[^\W\d_][\w'\u2019-]+(?: [^\W\d_][\w'\u2019-]+){0,2}")
_IS = r"is|was|lautet|ist|est|es|è|to|jest"

BIRTH = cued(BORN, DATE, r"on|am|in|le|el|il|op|dnia|is|was|ist|est|es|è|to")
PERSON_BEFORE = re.compile(rf"(?<!\w)(?:{PERSON})(?!\w)\s*:?\s+", re.IGNORECASE)
NUMBERED: tuple[tuple[Kind, str, re.Pattern[str]], ...] = (
    ("record_number", "record-cue", cued(RECORD, r"(?:[A-Z]{1,4}-?)?\d[\d-]{3,}\d?(?!\w)", _IS)),
    (
        "case_number",
        "case-cue",
        cued(CASE, r"(?:[IVX]{1,5}|\d{1,3}) [A-Z]{1,4} \d+/\d{2,4}|(?=\S*\d{2}\S*\d{2})[A-Z0-9][A-Z0-9:/-]{4,}", _IS),
    ),
    (
        "case_number",
        "docket-cue",
        cued(DOCKET, r"(?:(?:[IVX]{1,5}|\d{1,3}) [A-Z][A-Za-z]{0,3} )?(?:[A-Z]/)?\d+/\d{2,6}", _IS),
    ),
    ("account", "account-cue", cued(ACCOUNT, r"\d(?:[ .-]?\d){5,33}(?!\w)", _IS)),
)


def find_personal(text: str) -> Iterator[Finding]:
    """Give dates of birth, the names of patients and clients, and numbers that name what they are."""
    for match in BIRTH.finditer(text):
        yield Finding(match.start("datum"), match.end("datum"), "birth_date", "birth-cue")
    for kind, detector, pattern in NUMBERED:
        for match in pattern.finditer(text):
            yield Finding(match.start("datum"), match.end("datum"), kind, detector)
    for cue in PERSON_BEFORE.finditer(text):
        yield from _name(text, cue.end())


def _name(text: str, start: int) -> Iterator[Finding]:
    """Give the name that begins here: two or three words, each with a capital first letter; one alone is too little."""
    title = TITLE.match(text, start)
    assert title is not None
    match = NAME.match(text, title.end())
    words = list(takewhile(lambda word: word[0].isupper(), match[0].split(" "))) if match else []
    if match and len(words) > 1:
        yield Finding(match.start(), match.start() + len(" ".join(words)), "name", "name-after-role")
