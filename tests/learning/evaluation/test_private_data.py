import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.evaluation import find_data, guarded_data, masked
from learning.evaluation.private_data import Datum


@pytest.mark.parametrize(
    ("kind", "text", "datum"),
    [
        ("email", "Write to Mira.Sol+kites@north-wind.example.org.", "Mira.Sol+kites@north-wind.example.org"),
        ("phone", "Call +49 (30) 1234-5678 at night.", "+49 (30) 1234-5678"),
        ("phone", "My number is 0171 2345678, please.", "0171 2345678"),
        ("key", "Use AKIAIOSFODNN7EXAMPLE for now", "AKIAIOSFODNN7EXAMPLE"),
        ("key", "token xoxb-12345678901-abcdefGHIJ.", "xoxb-12345678901-abcdefGHIJ"),
        ("password", "The PIN for the safe is 4711.", "4711"),
        ("password", "password: hunter2!x", "hunter2!x"),
        ("iban", "Pay to DE89 3704 0044 0532 0130 00 by Friday", "DE89 3704 0044 0532 0130 00"),
        ("card", "The card is 4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("national id", "SSN 549-07-7408", "549-07-7408"),
        ("person id", "Ask <@U0MARCUS7> about it", "U0MARCUS7"),
        ("key", "the secret is in 9fA3kd82LmQ0zXc71Pw4", "9fA3kd82LmQ0zXc71Pw4"),
    ],
)
def test_a_datum_is_found_with_its_kind(kind: str, text: str, datum: str) -> None:
    assert [(found.kind, found.text) for found in find_data(text)] == [(kind, datum)]


@pytest.mark.parametrize(
    "text",
    [
        "Payroll runs on 01.02.2024 at 09:30.",
        "The order is 4111 1111 1111 1112, in 12 boxes of 300 for 1,299.00 euros.",
        "Invoice 2024-000123 is due in 2025; see RFC 8785 and version 10.2.33.1.",
        "The secret of a good kite is its tail, and the pin is short: 12.",
        "Uppercase UNDERSTANDING is no id, nor is an_ordinary_identifier_in_code.",
        "See https://example.org/a/b for the rest @home.",
        "It lasts 00000000 and aaaaaaaaaaaaaaaaaaaaaaa1.",
        "",
    ],
)
def test_ordinary_text_has_no_datum(text: str) -> None:
    assert find_data(text) == []


def test_a_datum_is_recognised_however_it_is_written_and_not_within_a_longer_figure() -> None:
    number = Datum("phone", "0171 2345678")

    assert number.occurs_in("It is 0171-234 56 78.")
    assert not number.occurs_in("It is 10171 23456789.")
    assert masked("Call 0171/2345678 now", [number]) == "Call [phone] now"


def test_only_what_no_public_text_has_is_guarded() -> None:
    withheld = [("Whom do I ask?", "Ask mira@kites.example, or help@kites.example.")]

    guarded = guarded_data(withheld, ["The desk is HELP@kites.example."])

    assert [(datum.text, datum.question) for datum in guarded] == [("mira@kites.example", "Whom do I ask?")]


def test_a_fingerprint_tells_data_apart_without_saying_them() -> None:
    first, same, other = Datum("k", "0171 2345678"), Datum("k", "01712345678"), Datum("k", "0171 2345679")

    assert first.fingerprint == same.fingerprint != other.fingerprint
    assert "2345" not in first.fingerprint


@given(st.text(max_size=300))
@settings(deadline=None)
def test_whatever_is_found_can_be_masked_and_is_gone_then(text: str) -> None:
    found = find_data(text)
    hidden = masked(text, found)
    assert all(datum.occurs_in(text) for datum in found)
    assert not any(datum.occurs_in(hidden) for datum in found)
