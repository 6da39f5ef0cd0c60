import pytest

from bot.slack.markdown import FINISHED, Incoming, as_typed, cut, harmless, unfinished

JOINER = "\u2060"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("<!channel> and <@U1>, <#C1|x>", "&lt;!channel> and &lt;@U1>, &lt;#C1|x>"),
        ("<!subteam^S1|@all>", "&lt;!subteam^S1|@all>"),
        ("@here, @Channel!", f"@{JOINER}here, @{JOINER}Channel!"),
        ("a@heretic.example", "a@heretic.example"),
        ("a < b, List<int>, <https://a.example>\n> quoted", "a < b, List<int>, <https://a.example>\n> quoted"),
    ],
)
def test_a_model_can_mention_nobody_and_nothing_else_of_its_markdown_changes(written: str, sent: str) -> None:
    assert harmless(written) == sent


@pytest.mark.parametrize(
    "text", ["<!channel> now", "x <@U1>", "ask @here <", "@everyone", "@channels @ here", "<@U12345678>"]
)
def test_a_text_that_comes_in_pieces_is_as_harmless_as_in_one(text: str) -> None:
    for size in (1, 2, 3, 5):
        incoming = Incoming()
        pieces = [incoming.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert "".join(pieces) + incoming.end() == harmless(text)
        assert "<!" not in "".join(pieces)
        assert "<@" not in "".join(pieces)


@pytest.mark.parametrize(
    ("typed", "markdown"),
    [
        ("Use 2*3*4 and `x`.", r"Use 2\*3\*4 and \`x\`."),
        ("snake_case stays, _this_ and ~~that~~ too", r"snake_case stays, \_this\_ and \~\~that\~\~ too"),
        ("[label](address) but [label]", r"\[label](address) but [label]"),
        ("# 5\n#hashtag", "\\# 5\n#hashtag"),
        (r"C:\Users\*", r"C:\Users\\\*"),
        ("see https://a.example/a_b_*c*?x=1", "see https://a.example/a_b_*c*?x=1"),
        ("&lt; is written so", "&amp;lt; is written so"),
        ("1. one\n2. two", "1. one\n2. two"),
    ],
)
def test_what_a_person_typed_is_shown_as_typed(typed: str, markdown: str) -> None:
    assert as_typed(typed) == markdown


PARAGRAPHS = "One.\n\nTwo is longer.\n\nThree"
CODE = "Look:\n\n```py\nfirst = 1\n\nsecond = 2\n"
TABLE = "Prices:\n\n| kite | price |\n|---|---:|\n| Osprey | 90 |\n| Heron | 70 |\n"


@pytest.mark.parametrize(
    ("text", "low", "high", "message"),
    [
        (PARAGRAPHS, 0, 25, "One.\n\nTwo is longer.\n\n"),
        (PARAGRAPHS, 6, 15, "One.\n\nTwo is "),
        ("one line\nand another", 0, 15, "one line\n"),
        ("wordwithoutend", 0, 5, "wordw"),
        (f"A paragraph before it.\n\n{CODE}", 0, 50, "A paragraph before it.\n\nLook:\n\n"),
        (CODE, CODE.index("first"), len(CODE), CODE),
        (TABLE, TABLE.index("| Osprey"), len(TABLE) - 3, TABLE[: TABLE.index("| Heron")]),
    ],
)
def test_a_message_ends_where_a_reader_would_pause(text: str, low: int, high: int, message: str) -> None:
    assert text[: cut(text, low, high)] == message


def test_a_code_block_is_closed_and_opened_again_in_its_language() -> None:
    open_block = unfinished(CODE)
    assert (open_block.closing, open_block.reopening) == ("```", "```py\n")
    assert unfinished(CODE + open_block.closing) == FINISHED
    assert unfinished("~~~\nx").closing == "\n~~~"


def test_a_table_goes_on_under_its_own_head() -> None:
    assert unfinished(TABLE).reopening == "| kite | price |\n|---|---:|\n"
    assert unfinished(f"{TABLE}\nThat is all.") == FINISHED


def test_bars_in_code_are_no_table() -> None:
    assert unfinished("```\na | b\n|---|\n```\n") == FINISHED
