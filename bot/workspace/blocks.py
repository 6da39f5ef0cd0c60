"""Refuses blocks and views that Slack would refuse. Pure: returns what is wrong as Slack's own messages say it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
ACTIONS = 25
SECTION_TEXT = 3_000
HEADER_TEXT = 150
MARKDOWN_TEXT = 12_000
BUTTON_TEXT = 75
VALUE = 2_000
TABLE_ROWS = 100
TABLE_COLUMNS = 20

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "section": (),
    "divider": (),
    "header": ("text",),
    "context": ("elements",),
    "actions": ("elements",),
    "context_actions": ("elements",),
    "input": ("label", "element"),
    "image": ("image_url", "alt_text"),
    "markdown": ("text",),
    "rich_text": ("elements",),
    "table": ("rows",),
}
ELEMENTS = {
    "actions": {"button", "static_select", "overflow", "radio_buttons", "checkboxes", "users_select", "datepicker"},
    "context_actions": {"feedback_buttons", "icon_button"},
    "input": {"plain_text_input", "static_select", "radio_buttons", "checkboxes", "users_select", "datepicker"},
    "context": {"mrkdwn", "plain_text", "image"},
}


def with_ids(blocks: Sequence[Json], prefix: str) -> list[dict[str, Any]]:
    """Give each block that has none an id, as Slack does."""
    return [{"block_id": f"{prefix}{number}", **block} for number, block in enumerate(blocks)]


def block_problems(blocks: object, limit: int = MESSAGE_BLOCKS) -> list[str]:
    """List what is wrong with a list of blocks; empty when Slack would take it."""
    if not isinstance(blocks, list):
        return ["[ERROR] must be a list of blocks"]
    if len(blocks) > limit:
        return [f"[ERROR] no more than {limit} items allowed [json-pointer:/blocks]"]
    problems = [
        f"[ERROR] {problem} [json-pointer:/blocks/{index}]"
        for index, block in enumerate(blocks)
        for problem in _block(block)
    ]
    ids = [block["block_id"] for block in blocks if isinstance(block, dict) and block.get("block_id")]
    if len(ids) != len(set(ids)):
        problems.append("[ERROR] block_id must be unique [json-pointer:/blocks]")
    return problems


def view_problems(view: object) -> list[str]:
    """List what is wrong with a modal or home view."""
    if not isinstance(view, dict):
        return ["[ERROR] must be an object [json-pointer:/view]"]
    problems = block_problems(view.get("blocks"), VIEW_BLOCKS)
    if view.get("type") not in {"modal", "home"}:
        problems.append("[ERROR] type must be modal or home [json-pointer:/view/type]")
    if view.get("type") == "modal":
        problems += _text(view.get("title"), 24, "title", "/view/title")
        has_input = any(isinstance(block, dict) and block.get("type") == "input" for block in view.get("blocks") or [])
        if has_input and not view.get("submit"):
            problems.append("[ERROR] submit is required with an input block [json-pointer:/view/submit]")
    if len(str(view.get("private_metadata", ""))) > 3_000:  # noqa: PLR2004 - Slack's limit
        problems.append("[ERROR] must be less than 3001 characters [json-pointer:/view/private_metadata]")
    return problems


def _block(block: object) -> Iterator[str]:
    if not isinstance(block, dict) or block.get("type") not in REQUIRED:
        yield f"unsupported type: {block.get('type') if isinstance(block, dict) else block!r}"
        return
    kind = block["type"]
    for name in REQUIRED[kind]:
        if not block.get(name):
            yield f"missing required field: {name}"
    if kind == "section":
        yield from _section(block)
    elif kind == "header":
        yield from _text(block.get("text"), HEADER_TEXT, "header", "/text")
    elif kind == "markdown" and len(str(block.get("text", ""))) > MARKDOWN_TEXT:
        yield f"must be less than {MARKDOWN_TEXT + 1} characters"
    elif kind == "table":
        yield from _table(block)
    elements = [block["element"]] if kind == "input" and block.get("element") else block.get("elements") or []
    if kind in ELEMENTS:
        yield from _elements(kind, elements)


def _section(block: Json) -> Iterator[str]:
    if not block.get("text") and not block.get("fields"):
        yield "must define text or fields"
    if block.get("text"):
        yield from _text(block["text"], SECTION_TEXT, "section", "/text")


def _table(block: Json) -> Iterator[str]:
    rows = block.get("rows") or []
    if len(rows) > TABLE_ROWS or any(len(row) > TABLE_COLUMNS for row in rows):
        yield f"a table has at most {TABLE_ROWS} rows of {TABLE_COLUMNS} cells"


def _elements(kind: str, elements: Sequence[Json]) -> Iterator[str]:
    if len(elements) > ACTIONS:
        yield f"no more than {ACTIONS} items allowed"
    for element in elements:
        if element.get("type") not in ELEMENTS[kind]:
            yield f"unsupported element in {kind}: {element.get('type')}"
        elif kind != "context" and not element.get("action_id"):
            yield "missing required field: action_id"
        if element.get("type") == "button":
            yield from _text(element.get("text"), BUTTON_TEXT, "button", "/text")
        if len(str(element.get("value", ""))) > VALUE:
            yield f"must be less than {VALUE + 1} characters: value"
        for name in ("positive_button", "negative_button"):
            if element.get("type") == "feedback_buttons" and not element.get(name, {}).get("value"):
                yield f"missing required field: {name}"


def _text(text: object, limit: int, what: str, pointer: str) -> list[str]:
    if not isinstance(text, dict) or text.get("type") not in {"plain_text", "mrkdwn"} or not text.get("text"):
        return [f"{what} needs a text object with text in it [json-pointer:{pointer}]"]
    if len(text["text"]) > limit:
        return [f"must be less than {limit + 1} characters [json-pointer:{pointer}]"]
    return []
