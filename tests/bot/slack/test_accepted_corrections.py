"""A correction counts from the next question on: what the people in the channel see of it, before any training."""

import asyncio

from bot.slack import names
from storage.interactions import Interaction
from storage.people import ensure_person, ensure_workspace, person_id
from tests.bot.slack.conftest import ADA, PRIYA, Bot, Message, Town, all_done, eventually, interactions

ASKED, TOLD = "What fabric does the Osprey kite use?", "The Osprey kite uses Icarex fabric."


async def asked_and_corrected(bot: Bot, town: Town, channel: str | None = None, told: str = TOLD) -> None:
    """Ada asks, and Priya (in a channel; Ada herself in private) writes the right answer."""
    if channel is None:
        answer = await town.answer(await town.mention(ADA, ASKED))
        await correct(bot, town, PRIYA, answer, told)
    else:
        answer = await town.answer(await town.send(ADA, ASKED, channel), channel)
        await correct(bot, town, ADA, answer, told)


async def correct(bot: Bot, town: Town, user: str, answer: Message, told: str) -> None:
    await eventually(lambda: kept(bot, 1))
    async with town.watch(user):
        await town.press(user, answer, names.CORRECT_ACTION)
        assert (await town.submit(user, await town.view(user), names.CORRECTION_BLOCK, told))["ok"]
    await all_done(bot, 2)


async def kept(bot: Bot, count: int) -> list[Interaction]:
    found = await asyncio.to_thread(interactions, bot)
    return found if len(found) >= count else []


def accept(bot: Bot, team: str, question: str, text: str) -> None:
    """Take a correction of Priya's in as a command line beside the bot would."""
    with bot.parts.database.transaction() as session:
        ensure_workspace(session, team, "Northwind Kites", bot.parts.clock())
        ensure_person(session, team, PRIYA, "Priya Raman", bot.parts.clock())
    bot.parts.governance.record_feedback(
        workspace_id=team,
        person_id=person_id(team, PRIYA),
        kind="correction",
        question=question,
        answer="Paper.",
        text=text,
        source="import",
    )


def small_print(message: Message) -> list[str]:
    return [
        element["text"]
        for block in message.get("blocks", [])
        if block["type"] == "context"
        for element in block["elements"]
    ]


async def test_the_next_one_who_asks_gets_the_correction_and_sees_whose_it_is(bot: Bot, town: Town) -> None:
    await asked_and_corrected(bot, town)

    answer = await town.answer(await town.mention(PRIYA, "what fabric does the Osprey kite use"))

    assert answer["text"].strip() == TOLD
    assert small_print(answer) == ["As corrected by Priya Raman."]
    first, second = await eventually(lambda: kept(bot, 2))
    assert (second.answer, second.adapter_digest, second.usage) == (TOLD, None, {})
    assert second.source["how"] == "accepted"
    assert len(second.source["feedback"]) == 1
    assert (first.source["how"], first.source["feedback"]) == ("model", [])
    assert first.prompt_digest != second.prompt_digest


async def test_a_correction_is_given_as_it_was_typed_and_mentions_nobody(bot: Bot, town: Town) -> None:
    await asked_and_corrected(bot, town, told="It uses 2*3*4 Icarex, says <!channel>.")

    answer = await town.answer(await town.mention(ADA, ASKED))

    assert answer["text"].strip() == r"It uses 2\*3\*4 Icarex, says &lt;!channel>."
    _, second = await eventually(lambda: kept(bot, 2))
    assert second.answer == "It uses 2*3*4 Icarex, says <!channel>."


async def test_a_question_like_it_is_told_whose_answer_to_which_question_it_gets(bot: Bot, town: Town) -> None:
    await asked_and_corrected(bot, town)

    answer = await town.answer(await town.mention(ADA, "What fabric does the Heron kite use?"))

    _, second = await eventually(lambda: kept(bot, 2))
    assert second.source["how"] == "quoted"
    assert second.answer == answer["text"].strip()
    assert ASKED in second.answer
    assert TOLD in second.answer
    assert small_print(answer) == ["As corrected by Priya Raman."]


async def test_where_several_corrections_fit_the_model_answers_and_is_shown_them(bot: Bot, town: Town) -> None:
    await asked_and_corrected(bot, town)
    (first,) = await asyncio.to_thread(interactions, bot)
    accept(bot, first.workspace_id, ASKED.replace("Osprey", "Eagle"), "The Eagle kite uses silk.")

    answer = await town.answer(await town.mention(ADA, "What fabric does the Heron kite use?"))

    _, second = await eventually(lambda: kept(bot, 2))
    assert second.source["how"] == "examples"
    assert len(second.source["feedback"]) == 2
    assert second.usage["prompt_tokens"] > 2 * first.usage["prompt_tokens"]
    assert small_print(answer) == ["After corrections by Priya Raman."]


async def test_what_was_corrected_in_private_stays_there(bot: Bot, town: Town) -> None:
    channel = await town.dm(ADA)
    await asked_and_corrected(bot, town, channel)

    in_public = await town.answer(await town.mention(ADA, ASKED))
    in_private = await town.answer(await town.send(ADA, ASKED, channel), channel)

    assert TOLD not in in_public["text"]
    assert small_print(in_public) == []
    assert in_private["text"].strip() == TOLD


async def test_a_correction_accepted_by_another_process_is_used_too(bot: Bot, town: Town) -> None:
    await town.answer(await town.mention(ADA, "kite wind"))
    (first,) = await eventually(lambda: kept(bot, 1))
    accept(bot, first.workspace_id, ASKED, TOLD)

    answer = await town.answer(await town.mention(ADA, ASKED))

    assert answer["text"].strip() == TOLD
