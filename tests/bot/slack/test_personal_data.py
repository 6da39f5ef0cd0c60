"""Personal data and secrets in what people tell the bot: they learn at once what was left out; nothing repeats it."""

import asyncio
import json
from datetime import timedelta

from sqlmodel import select

from bot.reconcile import Reconciler
from bot.slack import names
from bot.slack.sweep import sweep_all
from governance.privacy.findings import in_words
from storage.inbox import InboxEvent
from storage.tables import metadata
from tests.bot.slack.conftest import ASK, MARCUS, PRIYA, Bot, Town, all_done, eventually, interactions, use_policy
from tests.bot.slack.saying import answers_kept, asked_and_answered, correct, feedback, press_vote, told
from tests.bot.slack.test_reviews import shown

PASSWORD = "Sommer2024!"
NUMBER = "901820"


def kept_anywhere(bot: Bot) -> list[str]:
    """Return the rows of all tables that hold the password."""
    with bot.parts.database.read() as session:
        rows = [row for table in metadata.sorted_tables for row in session.execute(select(table))]
    return [text for text in map(str, rows) if PASSWORD in text]


async def test_a_password_in_a_correction_is_left_out_everywhere_and_its_author_is_told(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)

    await correct(town, PRIYA, answer, f"The password is {PASSWORD}")

    notice = await told(town, PRIYA, "Recorded, thank you.")
    assert f"I left out what looks like {in_words(['password'])}" in notice["text"]
    assert PASSWORD not in json.dumps(notice)
    (row,) = feedback(bot)
    assert (row.text, row.masked, row.state) == ("The password is [password]", ["password"], "accepted")
    await all_done(bot, 2)
    assert await asyncio.to_thread(kept_anywhere, bot) == []


async def test_a_password_in_a_reply_that_was_taken_for_a_correction_leaves_the_inbox_too(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await town.send(PRIYA, f"actually: the password is {PASSWORD}", ASK, answer["thread_ts"])
    question = await told(town, PRIYA, "Shall I take this")

    await town.press(PRIYA, question, names.TAKE_REPLY_ACTION)

    async def recorded() -> bool:
        return len(await asyncio.to_thread(feedback, bot)) == 1

    await eventually(recorded)
    await all_done(bot, 3)
    with bot.parts.database.read() as session:
        assert all(PASSWORD not in json.dumps(event.payload) for event in session.exec(select(InboxEvent)))


async def test_a_question_whose_time_is_over_is_erased_and_nobody_can_judge_its_answer_any_more(
    bot: Bot, town: Town
) -> None:
    answer = await asked_and_answered(bot, town)
    start = bot.parts.clock()
    use_policy(bot, clock=lambda: start + timedelta(days=91), retention={"questions_days": 90})

    await asyncio.to_thread(sweep_all, bot.parts)

    (kept,) = await asyncio.to_thread(interactions, bot)
    assert (kept.question, kept.answer) == ("", "")
    await press_vote(town, PRIYA, answer, "positive")
    await told(town, PRIYA, "there is no answer")
    assert feedback(bot) == []


async def test_a_correction_in_a_direct_message_is_said_not_to_be_trained_on(bot: Bot, town: Town) -> None:
    channel = await town.dm(PRIYA)
    answer = await town.answer(await town.send(PRIYA, "kite wind", channel), channel, user=PRIYA)
    await answers_kept(bot, 1)

    await correct(town, PRIYA, answer, "Fly it at 12 knots.")

    notice = await told(town, PRIYA, "Recorded, thank you. Your correction counts when you ask me directly.", channel)
    assert "it is not trained on" in notice["text"]


async def test_what_is_set_aside_is_shown_to_nobody_but_whoever_may_review_it(bot: Bot, town: Town) -> None:
    use_policy(bot, privacy={"kinds": {"phone": "quarantine"}})
    answer = await asked_and_answered(bot, town)

    await correct(town, PRIYA, answer, "Ring +49 30 901820 at night.")

    assert NUMBER not in json.dumps(await told(town, PRIYA, "Set aside: it may hold a telephone number."))
    await Reconciler(bot.parts, bot.client).look()
    (message,) = await eventually(lambda: shown(town))
    assert "reviewed because it may hold a telephone number" in str(message["blocks"])
    assert NUMBER not in json.dumps(message)
    async with town.watch(MARCUS):
        await town.press(MARCUS, message, names.OPEN_REVIEW_ACTION)
        assert NUMBER in json.dumps(await town.view_with(MARCUS, NUMBER))
