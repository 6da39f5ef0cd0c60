import asyncio

from bot.slack import names
from tests.bot.slack.conftest import ADA, PRIYA, Bot, Town, eventually, find_element, interactions


async def test_a_mention_is_answered_in_its_thread_and_kept_with_what_made_the_answer(bot: Bot, town: Town) -> None:
    asked = await town.mention(ADA, "kite wind")

    answer = await town.answer(asked)

    (kept,) = await eventually(lambda: asyncio.to_thread(interactions, bot))
    assert answer["text"].strip() == kept.answer
    assert (kept.question, kept.answer_ts, kept.base_digest) == ("kite wind", answer["ts"], bot.parts.base.digest)
    assert kept.usage["completion_tokens"] == len(kept.usage["logprobs"]) > 0
    assert not kept.private


async def test_an_answer_carries_feedback_buttons_and_a_button_to_correct_it(bot: Bot, town: Town) -> None:
    answer = await town.answer(await town.mention(ADA, "kite"))

    _, feedback = find_element(answer, names.VOTE_ACTION)
    assert feedback["type"] == "feedback_buttons"
    assert find_element(answer, names.CORRECT_ACTION)[1]["text"]["text"] == "Correct this"


async def test_a_direct_message_is_answered_without_a_mention_and_is_private(bot: Bot, town: Town) -> None:
    channel = await town.dm(ADA)

    answer = await town.answer(await town.send(ADA, "north wind", channel), channel)

    (kept,) = await eventually(lambda: asyncio.to_thread(interactions, bot))
    assert kept.private
    assert kept.answer == answer["text"].strip()


async def test_a_message_to_others_is_not_answered_even_in_a_thread_of_the_bot(bot: Bot, town: Town) -> None:
    asked = await town.mention(ADA, "kite")
    await town.answer(asked)

    await town.send(PRIYA, "thanks, Ada", thread_ts=asked)
    later = await town.mention(PRIYA, "spool", thread_ts=asked)

    await eventually(lambda: two_answers(town, asked))
    assert [kept.question for kept in await asyncio.to_thread(interactions, bot)] == ["kite", "spool"]
    assert later != asked


async def two_answers(town: Town, thread: str) -> bool:
    return len(await town.answers(thread)) == 2


async def test_a_mention_of_nothing_is_told_how_to_ask(bot: Bot, town: Town) -> None:
    answer = await town.answer(await town.mention(ADA, ""))

    assert "Ask me a question" in answer["text"]
    assert interactions(bot) == []
