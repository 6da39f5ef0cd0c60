"""Refuses blocks and views that Slack would refuse. Pure: returns what is wrong as Slack's own messages say it.

Limits are those of Slack's Block Kit reference; where Slack is known to take more than it documents, it is not taken.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Problems = Iterator[str]

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
MESSAGE_SIZE = 13_200
"""Characters of all blocks of a message as JSON: beyond about this many Slack answers `msg_blocks_too_long`, which it
does not document (bolt-js issue 2509)."""
MARKDOWN_TEXT = 12_000
"""Characters in all markdown blocks of a message together."""
ID = 255
PRIVATE_METADATA = 3_000
VALUE = 2_000
OPTIONS = 100
CHOICES_AT_MOST = {"radio_buttons": 10, "checkboxes": 10, "overflow": 5}
LABEL = 75
URL = 3_000
SECTION_FIELDS = 10
TABLE_ROWS = 100
TABLE_COLUMNS = 20
CELLS = frozenset({"raw_text", "raw_number", "rich_text"})
ALIGNMENTS = ("left", "center", "right")
ICONS = ("trash",)
TYPED = 3_000
"""Characters that a text field takes at most."""

PLAIN = frozenset({"plain_text"})
ANY_TEXT = frozenset({"plain_text", "mrkdwn"})
CHOICES = frozenset({"static_select", "multi_static_select", "radio_buttons", "checkboxes", "overflow"})
PICKERS = frozenset(
    {
        "users_select", "multi_users_select", "conversations_select", "multi_conversations_select", "channels_select",
        "multi_channels_select", "external_select", "multi_external_select", "datepicker", "timepicker",
        "datetimepicker",
    }
)  # fmt: skip
WRITTEN = frozenset({"plain_text_input", "number_input", "email_text_input", "url_text_input", "rich_text_input"})


@dataclass(frozen=True)
class _Elements:
    """What a block may hold, and how many."""

    kinds: frozenset[str]
    most: int


REQUIRED: Mapping[str, tuple[str, ...]] = {
    "section": (),
    "divider": (),
    "header": ("text",),
    "context": ("elements",),
    "actions": ("elements",),
    "context_actions": ("elements",),
    "input": ("label", "element"),
    "image": ("alt_text",),
    "markdown": ("text",),
    "rich_text": ("elements",),
    "table": ("rows",),
}
ONLY_IN_MESSAGES = frozenset({"context_actions", "markdown", "table"})
ELEMENTS: Mapping[str, _Elements] = {
    "actions": _Elements(CHOICES | PICKERS | {"button"}, 25),
    "context_actions": _Elements(frozenset({"feedback_buttons", "icon_button"}), 5),
    "context": _Elements(ANY_TEXT | {"image"}, 10),
    "section": _Elements(CHOICES | PICKERS | {"button", "image"}, 1),
    "input": _Elements((CHOICES | PICKERS | WRITTEN) - {"overflow"}, 1),
}


def with_ids(blocks: Sequence[Json], prefix: str) -> list[dict[str, Any]]:
    """Give each block that has none an id, as Slack does."""
    return [{"block_id": f"{prefix}{number}", **block} for number, block in enumerate(blocks)]


def is_too_large(blocks: object) -> bool:
    """Whether all blocks of a message together are more than Slack takes."""
    return len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) > MESSAGE_SIZE


def block_problems(blocks: object, limit: int = MESSAGE_BLOCKS) -> list[str]:
    """List what is wrong with a list of blocks; empty when Slack would take it."""
    if not isinstance(blocks, list):
        return ["[ERROR] must be a list of blocks [json-pointer:/blocks]"]
    if len(blocks) > limit:
        return [f"[ERROR] no more than {limit} items allowed [json-pointer:/blocks]"]
    problems = [
        f"[ERROR] {problem} [json-pointer:/blocks/{index}]"
        for index, block in enumerate(blocks)
        for problem in _block(block)
    ]
    return problems + [f"[ERROR] {problem} [json-pointer:/blocks]" for problem in _together(blocks)]


def view_problems(view: object) -> list[str]:
    """List what is wrong with a modal or home view."""
    if not isinstance(view, dict):
        return ["[ERROR] must be an object [json-pointer:/view]"]
    return block_problems(view.get("blocks"), VIEW_BLOCKS) + [f"[ERROR] {problem}" for problem in _view(view)]


def _view(view: Json) -> Problems:
    if view.get("type") not in ("modal", "home"):
        yield "type must be modal or home [json-pointer:/view/type]"
    if view.get("type") == "modal":
        yield from _text(view.get("title"), 24, "view/title", PLAIN)
        for name in ("submit", "close"):
            if view.get(name) is not None:
                yield from _text(view[name], 24, f"view/{name}", PLAIN)
        if not view.get("submit") and any(_kind(block) == "input" for block in _list(view.get("blocks"))):
            yield "submit is required with an input block [json-pointer:/view/submit]"
    for block in _list(view.get("blocks")):
        if _kind(block) in ONLY_IN_MESSAGES:
            yield f"{_kind(block)} is for messages only [json-pointer:/view/blocks]"
    for name, limit in (("private_metadata", PRIVATE_METADATA), ("callback_id", ID), ("external_id", ID)):
        yield from _length(view.get(name), limit, f"view/{name}")


def _together(blocks: Sequence[Any]) -> Problems:
    """Say what is wrong between blocks."""
    known = [block for block in blocks if isinstance(block, dict)]
    ids = [block["block_id"] for block in known if isinstance(block.get("block_id"), str)]
    if len(ids) != len(set(ids)):
        yield "block_id must be unique"
    if sum(len(str(block.get("text"))) for block in known if block.get("type") == "markdown") > MARKDOWN_TEXT:
        yield f"the markdown blocks must be less than {MARKDOWN_TEXT + 1} characters together"
    if sum(block.get("type") == "table" for block in known) > 1:
        yield "only one table is allowed"


def _block(block: object) -> Problems:
    kind = _kind(block)
    if not isinstance(block, dict) or kind not in REQUIRED:
        yield f"unsupported type: {kind!r}"
        return
    for name in REQUIRED[kind]:
        if not block.get(name):
            yield f"missing required field: {name}"
    yield from _length(block.get("block_id"), ID, "block_id")
    yield from _own(kind, block)
    if kind in ELEMENTS:
        yield from _elements(kind, block)


def _own(kind: str, block: Json) -> Problems:
    """Check what only this kind of block has."""
    if kind == "section":
        yield from _section(block)
    elif kind == "header":
        yield from _text(block.get("text"), 150, "text", PLAIN)
    elif kind == "markdown" and not isinstance(block.get("text"), str):
        yield "text must be a string"
    elif kind == "input":
        yield from _text(block.get("label"), 2_000, "label", PLAIN)
        if block.get("hint"):
            yield from _text(block["hint"], 2_000, "hint", PLAIN)
    elif kind == "image":
        yield from _length(block.get("alt_text"), 2_000, "alt_text")
        yield from _length(block.get("image_url"), URL, "image_url")
        if not block.get("image_url") and not block.get("slack_file"):
            yield "missing required field: image_url"
    elif kind == "table":
        yield from _table(block)


def _section(block: Json) -> Problems:
    fields = _list(block.get("fields"))
    if not block.get("text") and not fields:
        yield "must define text or fields"
    if block.get("text"):
        yield from _text(block["text"], 3_000, "text")
    if len(fields) > SECTION_FIELDS:
        yield f"no more than {SECTION_FIELDS} items allowed: fields"
    for each in fields:
        yield from _text(each, 2_000, "fields")


def _table(block: Json) -> Problems:
    rows = _list(block.get("rows"))
    if len(rows) > TABLE_ROWS or any(len(_list(row)) > TABLE_COLUMNS for row in rows):
        yield f"a table has at most {TABLE_ROWS} rows of {TABLE_COLUMNS} cells"
    if not all(isinstance(row, list) and row for row in rows):
        yield "each row must be a list of cells"
    for cell in (cell for row in rows for cell in _list(row)):
        yield from _cell(cell)
    yield from _columns(block.get("column_settings"))


def _cell(cell: object) -> Problems:
    if _kind(cell) not in CELLS or not isinstance(cell, dict):
        yield f"unsupported cell in table: {_kind(cell)!r}"
    elif _kind(cell) == "raw_text" and not (isinstance(cell.get("text"), str) and cell["text"]):
        yield "a raw_text cell must be more than 0 characters"


def _columns(settings: object) -> Problems:
    if settings is not None and (not isinstance(settings, list) or len(settings) > TABLE_COLUMNS):
        yield f"column_settings must be a list of at most {TABLE_COLUMNS}"
    for each in _list(settings):
        if isinstance(each, dict) and each.get("align") not in (None, *ALIGNMENTS):
            yield "align must be left, center or right"


def _elements(kind: str, block: Json) -> Problems:
    name = {"section": "accessory", "input": "element"}.get(kind, "elements")
    given = block.get(name)
    elements = _list(given) if name == "elements" else [] if given is None else [given]
    if len(elements) > ELEMENTS[kind].most:
        yield f"no more than {ELEMENTS[kind].most} items allowed: {name}"
    ids = [element.get("action_id") for element in elements if isinstance(element, dict)]
    if len(named := [each for each in ids if isinstance(each, str)]) != len(set(named)):
        yield "action_id must be unique in its block"
    for element in elements:
        if not isinstance(element, dict) or _kind(element) not in ELEMENTS[kind].kinds:
            yield f"unsupported element in {kind}: {_kind(element)!r}"
        else:
            yield from _element(element)


def _element(element: Json) -> Problems:
    kind = str(element["type"])
    if kind in ANY_TEXT:
        yield from _text(element, 3_000, "elements")
    elif kind == "image":
        if not element.get("image_url") or not element.get("alt_text"):
            yield "missing required field: image_url or alt_text"
        yield from _length(element.get("alt_text"), 2_000, "alt_text")
    else:
        yield from _usable(kind, element)


def _usable(kind: str, element: Json) -> Problems:
    """Check an element that a person can use."""
    if not element.get("action_id"):
        yield "missing required field: action_id"
    yield from _length(element.get("action_id"), ID, "action_id")
    yield from _length(element.get("value"), VALUE, "value")
    if element.get("placeholder"):
        yield from _text(element["placeholder"], 150, "placeholder", PLAIN)
    if element.get("confirm") is not None:
        yield from _confirm(element["confirm"])
    if kind == "button":
        yield from _button(element)
    elif kind == "feedback_buttons":
        yield from _feedback(element)
    elif kind == "icon_button":
        yield from _icon(element)
    elif kind in CHOICES:
        yield from _options(kind, element)
    elif kind == "plain_text_input":
        yield from _typed(element)


def _confirm(dialog: object) -> Problems:
    if not isinstance(dialog, dict):
        yield "confirm must be an object"
        return
    yield from _text(dialog.get("title"), 100, "confirm/title", PLAIN)
    yield from _text(dialog.get("text"), 300, "confirm/text")
    for name in ("confirm", "deny"):
        if dialog.get(name) is not None:
            yield from _text(dialog[name], 30, f"confirm/{name}", PLAIN)


def _typed(element: Json) -> Problems:
    most = element.get("max_length")
    if most is not None and not (isinstance(most, int) and 1 <= most <= TYPED):
        yield f"max_length must be between 1 and {TYPED}"
    yield from _length(element.get("initial_value"), most if isinstance(most, int) else TYPED, "initial_value")


def _icon(element: Json) -> Problems:
    yield from _text(element.get("text"), 75, "text", PLAIN)
    if element.get("icon") not in ICONS:
        yield "icon must be trash"
    yield from _length(element.get("accessibility_label"), LABEL, "accessibility_label")


def _button(element: Json) -> Problems:
    yield from _text(element.get("text"), 75, "text", PLAIN)
    if element.get("style") not in (None, "primary", "danger"):
        yield "style must be primary or danger"
    yield from _length(element.get("url"), URL, "url")
    yield from _length(element.get("accessibility_label"), LABEL, "accessibility_label")


def _feedback(element: Json) -> Problems:
    for name in ("positive_button", "negative_button"):
        button = element.get(name)
        if not isinstance(button, dict) or not button.get("value"):
            yield f"missing required field: {name}"
            continue
        yield from _text(button.get("text"), 75, name, PLAIN)
        yield from _length(button["value"], VALUE, name)
        yield from _length(button.get("accessibility_label"), LABEL, f"{name}/accessibility_label")


def _options(kind: str, element: Json) -> Problems:
    groups = [_list(group.get("options")) for group in _list(element.get("option_groups")) if isinstance(group, dict)]
    options = [option for group in (_list(element.get("options")), *groups) for option in group]
    most = CHOICES_AT_MOST.get(kind, OPTIONS)
    if not 1 <= len(options) <= most:
        yield f"between 1 and {most} options are needed"
    for option in options:
        if not isinstance(option, dict) or not option.get("value"):
            yield "an option needs a value"
            continue
        yield from _text(option.get("text"), 75, "options")
        if option.get("description") is not None:
            yield from _text(option["description"], 75, "options/description", PLAIN)
        yield from _length(option["value"], 150, "options")
    yield from _initial(element, options)


def _initial(element: Json, options: Sequence[Any]) -> Problems:
    """Check what is chosen at first: Slack wants each to be one of the options, whole, and no empty list."""
    for name in ("initial_option", "initial_options"):
        if name not in element:
            continue
        chosen = [element[name]] if name == "initial_option" else _list(element[name])
        if not chosen or any(each not in options for each in chosen):
            yield f"{name} must be among the options"


def _text(text: object, limit: int, where: str, kinds: frozenset[str] = ANY_TEXT) -> Problems:
    """Check a text object, whose text has 1 to `limit` characters."""
    if _kind(text) not in kinds or not isinstance(text, dict):
        yield f"must be a {' or '.join(sorted(kinds))} object [json-pointer:/{where}]"
    elif not isinstance(text.get("text"), str) or not text["text"]:
        yield f"must be more than 0 characters [json-pointer:/{where}/text]"
    else:
        yield from _length(text["text"], limit, f"{where}/text")


def _length(value: object, limit: int, where: str) -> Problems:
    if value is None:
        return
    if not isinstance(value, str):
        yield f"must be a string [json-pointer:/{where}]"
    elif len(value) > limit:
        yield f"must be less than {limit + 1} characters [json-pointer:/{where}]"


def _kind(thing: object) -> str:
    """Return the type that a block, element or text gives itself."""
    kind = thing.get("type") if isinstance(thing, dict) else None
    return kind if isinstance(kind, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
