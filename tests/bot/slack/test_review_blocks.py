import pytest

from bot.slack.review_blocks import SHOWN_OTHERS, review_message, review_modal
from bot.workspace.blocks import block_problems, is_too_large, view_problems
from governance.review import Case
from storage.feedback import Feedback
from storage.records import utc_now

LONG = ["x" * 4_000, "&<>" * 1_300, "a\n" * 2_000, "\n" * 4_000, "日本語" * 1_300]


def feedback(text: str, state: str = "pending_review") -> Feedback:
    return Feedback(
        id="fb_1", workspace_id="T1", person_id="T1/U1", kind="correction", question=text, answer=text, text=text,
        source="slack", state=state, review_reason="contradiction", created_at=utc_now(),
    )  # fmt: skip


@pytest.mark.parametrize("text", LONG)
@pytest.mark.parametrize("state", ["pending_review", "declined"])
def test_the_longest_texts_stay_within_slacks_limits(text: str, state: str) -> None:
    others = [(feedback(text), "Ada")] * (SHOWN_OTHERS + 3)
    case = Case(feedback(text, state), "Priya", others, "" if state == "pending_review" else "Marcus", others)

    _, content = review_message(case, 7)

    assert block_problems(content) == []
    assert not is_too_large(content)
    assert view_problems(review_modal(case, "C1", "1.1")) == []


def test_nothing_is_left_of_what_was_erased() -> None:
    _, content = review_message(
        Case(feedback("Secret.", "erased"), "Priya", [(feedback("Other."), "Ada")], "Marcus"), 0
    )

    assert "It is erased." in str(content)
    for part in ("Secret.", "Other.", "Priya", "Ada", "Marcus"):
        assert part not in str(content)


def test_the_modal_has_a_long_correction_whole() -> None:
    words = " ".join(str(number) for number in range(900))
    modal = review_modal(Case(feedback(words), "Priya", [], ""), "C1", "1.1")

    whole = "".join(block["text"]["text"] for block in modal["blocks"] if block["type"] == "section")
    assert whole.count(words) == 3


def test_more_contradictions_than_fit_are_counted() -> None:
    others = [(feedback(f"No {number}."), "Ada") for number in range(SHOWN_OTHERS + 2)]

    _, content = review_message(Case(feedback("Yes."), "Priya", others, ""), 0)

    assert f"No {SHOWN_OTHERS - 1}." in str(content)
    assert f"No {SHOWN_OTHERS}." not in str(content)
    assert "It contradicts 2 more" in str(content)


def test_of_what_was_found_together_the_first_are_quoted_with_their_questions_and_the_rest_counted() -> None:
    together = [(feedback(f"No {number}."), "Ada") for number in range(SHOWN_OTHERS + 1)]

    _, content = review_message(Case(feedback("Yes."), "Priya", [], "", together), 0)

    assert f"> No {SHOWN_OTHERS - 1}.\n> No {SHOWN_OTHERS - 1}." in str(content[1:][SHOWN_OTHERS + 2]["text"]["text"])
    assert "It was found with 1 more" in str(content)
