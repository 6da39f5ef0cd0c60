"""The lines above an answer that say what was done for it."""

import pytest

from bot.slack import tasks
from learning.examples import Choice
from tests.bot.slack.conftest import ADA, Bot, Message, Town
from tests.bot.slack.proposing import corrected, taught
from tests.bot.slack.test_accepted_corrections import ASKED, TOLD, asked_and_corrected

LOOKED = "Looked for accepted corrections"


def lines(answer: Message) -> list[tuple[str, str]]:
    return [(line["title"], line["status"]) for line in answer.get("tasks", [])]


async def test_an_answer_says_that_corrections_were_looked_for_and_that_the_base_model_answered(
    bot: Bot, town: Town
) -> None:
    answer = await town.answer(await town.mention(ADA, "kite wind"))
    assert lines(answer) == [(LOOKED, "complete"), ("Answered with the base model", "complete")]
    assert answer["tasks"][0]["output"] == "None is about this."


async def test_an_answer_names_the_adapter_that_gave_it(bot: Bot, town: Town) -> None:
    await corrected(bot)
    digest = await taught(bot)

    answer = await town.answer(await town.mention(ADA, "kite wind"))

    assert lines(answer)[-1] == (f"Answered with adapter {digest[:8]}", "complete")


async def test_an_answer_that_is_an_accepted_correction_says_so(bot: Bot, town: Town) -> None:
    await asked_and_corrected(bot, town)
    answer = await town.answer(await town.mention(ADA, ASKED))
    assert answer["text"].strip() == TOLD
    assert lines(answer) == [(LOOKED, "complete"), ("Answered with an accepted correction", "complete")]
    assert answer["tasks"][0]["output"] == "One answers this question."


async def test_where_slack_takes_no_task_lines_the_answer_comes_without_them(bot: Bot, town: Town) -> None:
    await town.post("faults", no_tasks=True)
    answer = await town.answer(await town.mention(ADA, "kite wind"))
    assert answer["text"].strip()
    assert lines(answer) == []


@pytest.mark.parametrize(
    ("adapter", "in_scope", "name"),
    [
        (None, True, "the base model"),
        ("1234abcdef", True, "adapter 1234abcd"),
        ("1234abcdef", False, "the base model, as this is not about what adapter 1234abcd learned"),
    ],
)
def test_what_answers_is_named(adapter: str | None, *, in_scope: bool, name: str) -> None:
    assert tasks.source_of(adapter, in_scope=in_scope) == name


def test_an_answer_that_was_stopped_is_not_called_given() -> None:
    line = tasks.answered("the base model", stopped=True)
    assert (line["title"], line["status"]) == ("Stopped answering with the base model", "complete")


def test_what_was_found_says_how_much_the_model_is_shown() -> None:
    assert tasks.looked_up(Choice("examples"))["output"] == "The model is shown 0."
