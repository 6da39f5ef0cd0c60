"""Blocks that Slack takes pass; blocks that it refuses are named, and nothing that can be sent breaks the check."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.workspace.blocks import ELEMENTS, MESSAGE_SIZE, REQUIRED, block_problems, is_too_large, view_problems


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def button(**changes: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "a", "text": plain("Press"), **changes}


def choices(count: int) -> dict[str, Any]:
    options = [{"text": plain(str(number)), "value": str(number)} for number in range(count)]
    return {"type": "static_select", "action_id": "a", "options": options}


def boxes(**changes: Any) -> dict[str, Any]:
    return {**choices(2), "type": "checkboxes", **changes}


def vote(**changes: Any) -> dict[str, Any]:
    side = {"text": plain("Good"), "value": "up"}
    return {"type": "feedback_buttons", "action_id": "a", "positive_button": side, "negative_button": side, **changes}


def icon(**changes: Any) -> dict[str, Any]:
    return {"type": "icon_button", "action_id": "a", "icon": "trash", "text": plain("Remove"), **changes}


def table(*rows: Any, **changes: Any) -> dict[str, Any]:
    return {"type": "table", "rows": list(rows), **changes}


def field(**changes: Any) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "a", **changes}
    return {"type": "input", "label": plain("x"), "element": element}


def actions(*elements: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "divider"},
        {"type": "header", "text": plain("x" * 150)},
        actions(boxes(initial_options=choices(1)["options"])),
        {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_000}, "accessory": button()},
        {"type": "section", "fields": [plain("x")] * 10},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "*x*"}]},
        {"type": "context_actions", "elements": [vote(), icon(action_id="b", accessibility_label="x" * 75)]},
        {"type": "input", "label": plain("x"), "element": {"type": "plain_text_input", "action_id": "a"}},
        {"type": "markdown", "text": "x" * 12_000},
        {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 20] * 100},
        actions(*(button(action_id=f"a{number}") for number in range(25))),
        actions(choices(100)),
    ],
)
def test_what_slack_takes_is_taken(block: dict[str, Any]) -> None:
    assert block_problems([block]) == []


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ("no list", "must be a list"),
        ([{"type": "divider"}] * 51, "no more than 50 items"),
        ([{"type": "nonsense"}], "unsupported type: 'nonsense'"),
        ([{"type": "divider", "block_id": "b"}] * 2, "block_id must be unique"),
        ([actions({**choices(2), "initial_option": {"text": plain("7"), "value": "7"}})], "initial_option must be one"),
        ([{"type": "section"}], "must define text or fields"),
        ([{"type": "section", "text": plain("x" * 3_001)}], "less than 3001 characters"),
        ([{"type": "section", "text": plain("")}], "more than 0 characters"),
        ([{"type": "section", "text": "no object"}], "must be a mrkdwn or plain_text object"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "must be a plain_text object"),
        ([{"type": "markdown", "text": "x" * 7_000}] * 2, "less than 12001 characters together"),
        ([{"type": "context", "elements": [plain("x")] * 11}], "no more than 10 items"),
        ([{"type": "table", "rows": [["x"]] * 101}], "at most 100 rows"),
        ([actions(button(text=plain("x" * 76)))], "less than 76 characters"),
        ([actions(button(value="x" * 2_001))], "less than 2001 characters"),
        ([actions(button(action_id=""))], "missing required field: action_id"),
        ([actions(button(), button())], "action_id must be unique"),
        ([actions(button(style="loud"))], "style must be"),
        ([actions(vote())], "unsupported element in actions"),
        ([actions(choices(0))], "between 1 and 100 options"),
        ([actions({**choices(11), "type": "checkboxes"})], "between 1 and 10 options"),
        ([actions(boxes(initial_options=[]))], "initial_options must be among the options"),
        ([actions(boxes(initial_options=[{"text": plain("x"), "value": "0"}]))], "must be among the options"),
        ([{"type": "context_actions", "elements": [vote(negative_button=None)]}], "missing required field: negative"),
        ([{"type": "section", "text": plain("x"), "accessory": vote()}], "unsupported element in section"),
        ([{"type": "table", "rows": [["x"]]}], "unsupported cell in table"),
        ([table([{"type": "raw_text", "text": ""}])], "more than 0 characters"),
        ([table([{"type": "raw_text", "text": "x"}], column_settings=[{"align": "middle"}])], "align must be"),
        ([table([{"type": "raw_text", "text": "x"}], column_settings=[{}] * 21)], "column_settings must be"),
        ([{"type": "image", "image_url": "https://example.com/kite.png"}], "missing required field: alt_text"),
        ([{"type": "context", "elements": [{"type": "image", "image_url": "x"}]}], "image_url or alt_text"),
        (
            [actions(button(accessibility_label="x" * 76))],
            "[json-pointer:/accessibility_label]",
        ),
        ([{"type": "context_actions", "elements": [icon(icon="pencil")]}], "icon must be trash"),
        ([{"type": "context_actions", "elements": [icon(text=None)]}], "must be a plain_text object"),
        ([actions(button(confirm={"title": plain("x" * 101), "text": plain("x")}))], "less than 101 characters"),
        ([actions(button(confirm="sure?"))], "confirm must be an object"),
        ([actions({**choices(11), "type": "radio_buttons"})], "between 1 and 10 options"),
        ([actions({**choices(6), "type": "overflow"})], "between 1 and 5 options"),
    ],
)
def test_what_slack_refuses_is_named(blocks: Any, problem: str) -> None:
    assert any(problem in each for each in block_problems(blocks)), block_problems(blocks)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"type": "window"}, "type must be modal or home"),
        ({"title": plain("x" * 25)}, "less than 25 characters [json-pointer:/view/title/text]"),
        ({"title": None}, "must be a plain_text object [json-pointer:/view/title]"),
        ({"submit": None}, "submit is required"),
        ({"private_metadata": "x" * 3_001}, "less than 3001 characters"),
        ({"callback_id": "x" * 256}, "less than 256 characters"),
        ({"blocks": [{"type": "divider"}] * 101}, "no more than 100 items"),
        ({"blocks": [{"type": "markdown", "text": "x"}]}, "markdown is for messages only"),
        ({"blocks": [field(initial_value="x" * 11, max_length=10)]}, "less than 11 characters"),
        ({"blocks": [field(max_length=3_001)]}, "max_length must be between 1 and 3000"),
    ],
)
def test_a_form_is_checked_like_slack_checks_it(changes: dict[str, Any], problem: str) -> None:
    view = {"type": "modal", "title": plain("Form"), "submit": plain("Save"), "blocks": [field()]}
    assert view_problems(view) == []
    assert any(problem in each for each in view_problems(view | changes))


def test_all_blocks_of_a_message_together_have_a_limit() -> None:
    section = {"type": "section", "text": plain("x" * 2_900)}
    assert not is_too_large([section] * 4)
    assert is_too_large([section] * 5)
    assert len(str([section] * 5)) > MESSAGE_SIZE


KINDS = st.sampled_from(sorted(set(REQUIRED) | set().union(*(each.kinds for each in ELEMENTS.values()))))
KEYS = st.sampled_from(
    ["type", "text", "elements", "element", "accessory", "rows", "fields", "options", "option_groups", "label",
     "positive_button", "value", "block_id", "action_id", "title", "blocks", "submit"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | KINDS
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.builds(lambda kind, rest: {**rest, "type": kind}, KINDS, st.dictionaries(KEYS, inner, max_size=4))
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(ANYTHING)
def test_no_json_breaks_the_check(anything: Any) -> None:
    assert all(isinstance(problem, str) for problem in block_problems([anything]) + view_problems(anything))
