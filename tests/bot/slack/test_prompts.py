"""What is suggested to somebody who opens the conversation with the bot."""

from bot.slack.prompts import LONGEST, PROMPTS, worth_asking
from tests.bot.slack.conftest import ADA, MARCUS, PRIYA, Bot, Message, Town, all_done, eventually
from tests.bot.slack.test_accepted_corrections import ASKED, asked_and_corrected


async def prompts(town: Town, user: str) -> list[Message]:
    channel = await town.dm(user)
    async with town.watch(user):
        await town.post("opened", user=user, channel=channel, tab="messages")

        async def suggested() -> list[Message]:
            return town.prompts.get(user, [])

        return await eventually(suggested)


async def test_what_was_corrected_here_is_suggested_first(bot: Bot, town: Town) -> None:
    await asked_and_corrected(bot, town)
    first, *others = await prompts(town, MARCUS)
    assert first == {"title": ASKED, "message": ASKED}
    assert others == PROMPTS


async def test_what_two_people_asked_is_suggested_and_what_one_asked_is_not(bot: Bot, town: Town) -> None:
    for user, text in ((ADA, "kite wind"), (PRIYA, "Kite wind?"), (ADA, "loom")):
        await town.answer(await town.mention(user, text))
    await all_done(bot, 3)

    messages = [prompt["message"] for prompt in await prompts(town, MARCUS)]

    assert messages[0] == "Kite wind?"
    assert messages[1:] == [prompt["message"] for prompt in PROMPTS]


async def test_nothing_of_a_private_conversation_is_suggested(bot: Bot, town: Town) -> None:
    for user in (ADA, PRIYA):
        channel = await town.dm(user)
        await town.answer(await town.send(user, "kite wind", channel), channel, user)
    await all_done(bot, 2)

    assert await prompts(town, MARCUS) == PROMPTS


def test_corrected_questions_come_before_frequent_ones_and_none_comes_twice() -> None:
    asked = [("b?", "ada"), ("B", "priya"), ("c", "ada"), ("c", "priya"), ("c", "marcus"), ("a", "ada"), ("a", "bob")]
    assert worth_asking(["a?", "A"], asked) == ["a?", "c", "b?"]


def test_a_question_that_nobody_would_read_to_its_end_is_not_suggested() -> None:
    assert worth_asking(["x" * (LONGEST + 1), "  short\nenough  "], []) == ["short enough"]
