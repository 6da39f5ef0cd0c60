"""All answers that an adapter changes: a modal with pages, for whoever decides on it."""

import json
import shutil

import pytest

from bot.slack import blocks, names
from bot.slack.changed_answers import PAGE_CHANGES, changes_view, pages_of
from bot.slack.proposals import show_proposal
from bot.workspace.blocks import view_problems
from bot.workspace.web_api import VIEW_SIZE
from learning.evaluation import Change
from tests.bot.slack.conftest import MARCUS, Bot, Message, Town
from tests.bot.slack.proposing import CHANGE, proposal_message, proposed, read_proposal

MANY = tuple(CHANGE.model_copy(update={"question": f"Question {number}?"}) for number in range(2 * PAGE_CHANGES + 5))


def questions_in(shown: Message) -> list[str]:
    return [change.question for change in MANY if change.question in str(shown["blocks"])]


async def test_an_approver_pages_through_all_answers_that_change(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot, MANY)
    await show_proposal(bot.client, bot.parts, proposal)
    message = await proposal_message(town)
    assert len(questions_in(message)) == blocks.SHOWN_CHANGES
    assert "and 10 more" in str(message["blocks"])

    async with town.watch(MARCUS):
        await town.press(MARCUS, message, names.CHANGES_ACTION)
        first = await town.view_with(MARCUS, "Page 1 of 3")
        await town.press_in_view(MARCUS, first, names.LATER_CHANGES_ACTION)
        second = await town.view_with(MARCUS, "Page 2 of 3")
        await town.press_in_view(MARCUS, second, names.LATER_CHANGES_ACTION)
        third = await town.view_with(MARCUS, "Page 3 of 3")
        await town.press_in_view(MARCUS, third, names.EARLIER_CHANGES_ACTION)
        again = await town.view_with(MARCUS, "Page 2 of 3")

    assert [*questions_in(first), *questions_in(second), *questions_in(third)] == [each.question for each in MANY]
    assert questions_in(again) == questions_in(second)
    assert names.LATER_CHANGES_ACTION not in str(third)
    assert names.EARLIER_CHANGES_ACTION not in str(first)


async def test_a_report_that_is_gone_is_said_to_be_and_nothing_else_is_shown(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    shutil.rmtree(bot.parts.store.path(read_proposal(bot, proposal).report_digest))

    async with town.watch(MARCUS):
        await town.press(MARCUS, await proposal_message(town), names.CHANGES_ACTION)
        view = await town.view(MARCUS)

    assert view["title"]["text"] == "That is not possible"


def test_a_long_answer_is_shown_whole() -> None:
    words = " ".join(str(number) for number in range(1_500))
    view = changes_view("prop_1", [CHANGE.model_copy(update={"after": words})], 0)

    whole = "".join(block["text"]["text"] for block in view["blocks"] if block["type"] == "section")
    assert words in whole


@pytest.mark.parametrize("text", ["x" * 20_000, "&" * 20_000, "日" * 20_000, "\n" * 20_000, ""])
def test_every_page_stays_within_slacks_limits(text: str) -> None:
    change = Change(kind="general", question=text, expected=text, before=text, after=text, verdict="lost")

    for page in range(len(pages_of([change] * 8))):
        view = changes_view("prop_1", [change] * 8, page)
        assert view_problems(view) == []
        assert len(json.dumps(view)) <= VIEW_SIZE


def test_a_page_that_is_no_more_is_the_last_one() -> None:
    assert "Page 1 of 1" in str(changes_view("prop_1", [CHANGE], 7))
