"""A reply in the thread of an answer that begins with "actually" or "correction:" may be its correction."""

import asyncio

import pytest

from bot.slack import names
from storage.channels import ChannelSettings
from tests.bot.slack.conftest import (
    ADA,
    ASK,
    PRIYA,
    Bot,
    Message,
    Town,
    all_done,
    interactions,
    jobs_in,
)
from tests.bot.slack.saying import answers_kept, asked_and_answered, feedback, told

ASKED, TOLD = "What fabric does the Osprey kite use?", "The Osprey kite uses Icarex fabric."
SHALL_I = "Shall I take this as the correct answer to \u00abWhat fabric does the Osprey kite use?\u00bb?"


async def asked_in_private(bot: Bot, town: Town) -> tuple[str, str]:
    """Let Ada ask in her direct messages; return channel and thread once the answer is kept."""
    channel = await town.dm(ADA)
    thread = await town.send(ADA, ASKED, channel)
    await town.answer(thread, channel)
    await answers_kept(bot, 1)
    return channel, thread


async def asked_back(bot: Bot, town: Town, text: str = f"Actually: {TOLD}") -> tuple[str, str, Message]:
    """Let Ada reply to an answer in private; return channel, thread, and what she is asked."""
    channel, thread = await asked_in_private(bot, town)
    await town.send(ADA, text, channel, thread)
    return channel, thread, await told(town, ADA, SHALL_I, channel)


def kept(bot: Bot) -> list[tuple[str, str, str]]:
    return [(row.kind, row.text, row.source) for row in feedback(bot)]


async def test_a_reply_like_a_correction_is_not_answered_and_its_writer_is_asked(bot: Bot, town: Town) -> None:
    channel, thread, message = await asked_back(bot, town)

    await all_done(bot, 2)
    assert len(await town.answers(thread, channel)) == 1
    assert message["thread_ts"] == thread
    assert f"> {TOLD}" in str(message["blocks"])
    assert feedback(bot) == []


async def test_yes_records_the_correction_and_the_next_one_who_asks_gets_it(bot: Bot, town: Town) -> None:
    channel, _, message = await asked_back(bot, town)

    await town.press(ADA, message, names.TAKE_REPLY_ACTION)

    assert names.WITHDRAW_ACTION in str(await told(town, ADA, "Recorded, thank you.", channel))
    assert kept(bot) == [("correction", TOLD, "reply")]
    answer = await town.answer(await town.send(ADA, ASKED, channel), channel)
    assert answer["text"].strip() == TOLD


async def test_no_lets_it_be_answered_as_a_question(bot: Bot, town: Town) -> None:
    channel, thread, message = await asked_back(bot, town)

    await town.press(ADA, message, names.ASK_REPLY_ACTION)

    await answers_kept(bot, 2)
    assert interactions(bot)[1].question == f"Actually: {TOLD}"
    await all_done(bot, 3)
    assert len(await town.answers(thread, channel)) == 2
    assert await town.whispers(ADA, channel) == []
    assert feedback(bot) == []


async def test_edit_opens_the_form_with_the_text_and_records_what_is_sent(bot: Bot, town: Town) -> None:
    channel, _, message = await asked_back(bot, town)

    async with town.watch(ADA):
        await town.press(ADA, message, names.EDIT_REPLY_ACTION)
        view = await town.view(ADA)
        shown = view["blocks"][1]["element"]["initial_value"]
        await town.submit(ADA, view, names.CORRECTION_BLOCK, "Icarex.")

    assert shown == TOLD
    await told(town, ADA, "Recorded, thank you.", channel)
    assert [row.text for row in feedback(bot)] == ["Icarex."]


async def test_the_answer_before_the_reply_is_the_one_that_is_corrected(bot: Bot, town: Town) -> None:
    channel, thread = await asked_in_private(bot, town)
    await town.send(ADA, "And the Heron?", channel, thread)
    await answers_kept(bot, 2)

    await town.send(ADA, "Correction: it uses silk.", channel, thread)
    message = await told(town, ADA, "Shall I take this as the correct answer to \u00abAnd the Heron?\u00bb?", channel)
    await town.press(ADA, message, names.TAKE_REPLY_ACTION)

    await all_done(bot, 4)
    (row,) = feedback(bot)
    assert (row.question, row.text) == ("And the Heron?", "it uses silk.")


async def test_a_long_text_outlives_a_restart(bot: Bot, town: Town) -> None:
    long = "word " * 550 + "end."
    channel, _, message = await asked_back(bot, town, f"Correction - {long}")

    await bot.stop_worker()
    bot.start_worker()
    await town.press(ADA, message, names.TAKE_REPLY_ACTION)

    await told(town, ADA, "Recorded, thank you.", channel)
    assert [row.text for row in feedback(bot)] == [long]


async def test_who_was_asked_before_a_crash_is_not_asked_again_and_corrects_once(bot: Bot, town: Town) -> None:
    channel, _, message = await asked_back(bot, town)
    _, job = await all_done(bot, 2)
    with bot.parts.database.transaction() as session:  # the process died between asking and saying that it had asked
        job.state = "received"
        session.merge(job)
    bot.parts.arrived.set()
    await all_done(bot, 2)
    assert [each["ts"] for each in await town.history(ADA, channel) if each["ephemeral"]] == [message["ts"]]

    for _ in range(2):
        await town.press(ADA, message, names.TAKE_REPLY_ACTION)

    await all_done(bot, 4)
    assert kept(bot) == [("correction", TOLD, "reply")]


async def test_an_overlong_reply_is_refused_with_its_length(bot: Bot, town: Town) -> None:
    channel, thread = await asked_in_private(bot, town)

    await town.send(ADA, "Actually " + "x" * 5_000, channel, thread)

    await told(town, ADA, "The corrected answer has 5,000 characters; at most 3,000", channel)
    assert feedback(bot) == []


async def test_a_beginning_with_nothing_after_it_is_a_question(bot: Bot, town: Town) -> None:
    channel, thread = await asked_in_private(bot, town)

    await town.send(ADA, "Actually...", channel, thread)

    await answers_kept(bot, 2)
    assert interactions(bot)[1].question == "Actually..."


async def test_in_a_thread_without_an_answer_it_is_a_question(bot: Bot, town: Town) -> None:
    thread = await town.send(PRIYA, "lunch?")

    await town.mention(ADA, "actually, kite wind", thread_ts=thread)

    await town.answer(thread)
    assert [row.question for row in interactions(bot)] == ["actually, kite wind"]


@pytest.mark.parametrize("mentioned", [True, False])
async def test_in_the_thread_of_an_answer_in_a_channel_no_mention_is_needed(
    bot: Bot,
    town: Town,
    mentioned: bool,  # noqa: FBT001
) -> None:
    answer = await asked_and_answered(bot, town, ASKED)
    write = town.mention if mentioned else town.send
    await write(PRIYA, f"Actually: {TOLD}", ASK, answer["thread_ts"])

    await town.press(PRIYA, await told(town, PRIYA, SHALL_I), names.TAKE_REPLY_ACTION)

    await told(town, PRIYA, "Recorded, thank you.")
    assert [job.kind for job in await all_done(bot, 3)] == ["question", "reply", "correction"]
    assert kept(bot) == [("correction", TOLD, "reply")]
    assert await town.whispers(ADA) == []


async def test_who_says_that_it_is_a_question_is_answered_without_a_mention(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town, ASKED)
    await town.send(PRIYA, "Actually, and the Heron?", ASK, answer["thread_ts"])

    await town.press(PRIYA, await told(town, PRIYA, SHALL_I), names.ASK_REPLY_ACTION)

    await answers_kept(bot, 2)
    assert interactions(bot)[1].question == "Actually, and the Heron?"


async def test_what_people_say_to_each_other_in_other_threads_is_not_kept(bot: Bot, town: Town) -> None:
    thread = await town.send(PRIYA, "Lunch at noon?")
    await town.send(ADA, "Actually, at one.", ASK, thread)
    await asked_and_answered(bot, town)

    assert [job.kind for job in await asyncio.to_thread(jobs_in, bot)] == ["question"]


async def test_where_answers_are_off_nobody_is_asked(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town, ASKED)
    (about,) = interactions(bot)
    off = ChannelSettings(answers="off")
    rules = bot.parts.governance
    await asyncio.to_thread(rules.change_channel, about.workspace_id, ASK, off, about.asker_id)

    await town.send(PRIYA, f"Actually: {TOLD}", ASK, answer["thread_ts"])
    await town.mention(ADA, f"Actually: {TOLD}", thread_ts=answer["thread_ts"])

    assert [job.kind for job in await all_done(bot, 2)] == ["question", "reply"]
    assert not any(text.startswith("Shall I") for text in await town.whispers(ADA))
    assert await town.whispers(PRIYA) == []
