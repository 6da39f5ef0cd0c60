"""What is found in people's texts, and what is left alone."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.bench.privacy import measure, read_lines
from governance.privacy.detection import find
from governance.privacy.findings import Kind, in_words, masked

LINES = Path(__file__).parent / "privacy"


@pytest.mark.parametrize(
    ("text", "kind", "datum", "detector"),
    [
        ("Write to mira.sol@kites.example, please", "email", "mira.sol@kites.example", "email"),
        ("Ring +49 (30) 901820-47 at night", "phone", "+49 (30) 901820-47", "libphonenumber"),
        ("Paid with 4111 1111 1111 1111.", "card", "4111 1111 1111 1111", "card-luhn"),
        ("To GB29 NWBK 6016 1331 9268 19 please", "iban", "GB29 NWBK 6016 1331 9268 19", "iban-check"),
        ("Codice RSSMRA77M21F205V", "national_id", "RSSMRA77M21F205V", "it-cf"),
        ("BSN: 591484547", "national_id", "591484547", "nl-bsn"),
        ("the password is Sommer2024!", "password", "Sommer2024!", "password-cue"),
        ("Der Türcode ist 1379.", "password", "1379", "code-cue"),
        ("postgres://app:s3cr3t@db/x", "password", "s3cr3t", "Basic Auth Credentials"),
        ("key gh" + "p_z9t762bjBc9rZSW9CIBakZNe9Wb76SJ1UVCV", "key", "ghp_z9t762bjBc9rZSW9CIBakZNe9Wb76SJ1UVCV", "*"),
        ("it is z9t762bjBc9rZSW9CIBakZNe9Wb76SJ1UVCV", "key", "z9t762bjBc9rZSW9CIBakZNe9Wb76SJ1UVCV", "entropy"),
        ("Née le 5 avril 1988.", "birth_date", "5 avril 1988", "birth-cue"),
        ("The gateway is 84.23.101.7.", "ip", "84.23.101.7", "ip-address"),
        ("Patient James O'Connor is in", "name", "James O'Connor", "name-after-role"),
        ("MRN 00482913", "record_number", "00482913", "record-cue"),
        ("Az.: 3 C 1178/21", "case_number", "3 C 1178/21", "case-cue"),
        ("Account number 31926819", "account", "31926819", "account-cue"),
    ],
)
def test_a_datum_is_found_with_its_kind_its_place_and_what_found_it(
    text: str, kind: str, datum: str, detector: str
) -> None:
    (found,) = find(text)

    assert (found.kind, text[found.start : found.end]) == (kind, datum)
    assert detector in {"*", found.detector}


@pytest.mark.parametrize(
    "text",
    [
        "Dial extension 4471, room 2.14, from 06:30 to 10:00, $18.50; ISBN 978-3-16-148410-0.",
        "Write to helpdesk@kites.example; never tell anybody your password.",
        "Paid with 4111 1111 1111 1112, RSSMRA77M21F205X, GB30 NWBK 6016 1331 9268 19.",
    ],
)
def test_a_handbook_s_answers_are_left_alone(text: str) -> None:
    assert find(text) == []


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts_in(each)


def test_in_handbooks_that_others_wrote_only_codes_and_a_password_are_found() -> None:
    files = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.json"))
    texts = {text for file in files for text in texts_in(json.loads(file.read_text("utf-8")))}

    found = sorted(text[each.start : each.end] for text in texts for each in find(text))

    assert len(texts) > 1_500
    assert found == ["2957", "6093", "8036", "quillandseal88"]


def test_a_private_key_is_masked_whole_and_the_addresses_of_one_s_own_domain_are_known_to_all() -> None:
    text = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY-----\nfrom ana@kites.example"

    assert masked(text, find(text)) == "[private key]\nfrom [email]"
    assert masked(text, find(text, own_domains=["kites.example"])) == "[private key]\nfrom ana@kites.example"


def test_people_are_told_kinds_in_words_and_each_once() -> None:
    assert in_words(["phone", "card", "phone"]) == "a card number and a telephone number"


@pytest.mark.parametrize(("folder", "recall", "precision"), [(LINES, 0.95, 0.95), (LINES / "unseen", 0.75, 0.9)])
def test_as_much_is_found_in_the_marked_lines_as_the_figures_say(folder: Path, recall: float, precision: float) -> None:
    lines = read_lines(folder)
    figures = measure(lines)

    assert figures["ours"]["all"]["recall"] >= recall
    assert figures["ours"]["all"]["precision"] >= precision
    assert figures["ours"]["all"]["recall"] > figures["detect_secrets"]["all"]["recall"]
    assert figures["ours"]["all"]["recall"] > figures["expressions"]["all"]["recall"]


def test_the_marked_lines_are_many_in_seven_languages_of_every_kind_and_a_third_of_them_hold_nothing() -> None:
    lines = read_lines(LINES)

    assert len(lines) >= 300
    assert sum(not line.marked for line in lines) >= len(lines) / 3
    assert {line.language for line in lines} == {"en", "de", "fr", "es", "it", "nl", "pl"}
    assert {mark.kind for line in lines for mark in line.marked} == set(get_args(Kind))


@given(st.lists(st.sampled_from(read_lines(LINES)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_nothing_that_was_found_is_left_once_it_is_masked_and_masking_again_changes_nothing(lines: list) -> None:
    text = "\n".join(line.text for line in lines)
    found = find(text)

    hidden = masked(text, found)

    assert all(one.end <= other.start for one, other in pairwise(found))
    assert hidden == masked(hidden, find(hidden))
