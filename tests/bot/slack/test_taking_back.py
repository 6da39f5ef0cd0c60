"""Undo: exactly what was recorded is taken back, and nothing of it is used any more."""

import asyncio

from bot.slack import names
from bot.slack.proposals import show_proposal
from learning.dataset import build_dataset
from storage.audit import read_audit_records
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, PRIYA, Bot, Town, all_done, eventually
from tests.bot.slack.proposing import decided, proposal_message, proposed
from tests.bot.slack.saying import asked_and_answered, correct, feedback, has, press_vote, told

ASKED, TOLD = "What fabric does the Osprey kite use?", "The Osprey kite uses Icarex fabric."


def states(bot: Bot) -> list[tuple[str, str]]:
    return [(row.kind, row.state) for row in feedback(bot)]


async def test_undo_takes_a_vote_back_and_says_so_in_its_place(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await press_vote(town, PRIYA, answer, "positive")

    await town.press(PRIYA, await told(town, PRIYA, "Recorded: a good answer"), names.WITHDRAW_ACTION)

    message = await told(town, PRIYA, "Taken back: your vote on this answer does not count any more.")
    assert not has(message, names.WITHDRAW_ACTION)
    assert states(bot) == [("up", "withdrawn")]


async def test_the_vote_before_the_one_that_is_undone_does_not_come_back(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await press_vote(town, PRIYA, answer, "positive")
    await press_vote(town, ADA, answer, "positive")
    await all_done(bot, 3)
    await press_vote(town, PRIYA, answer, "negative")
    await all_done(bot, 4)
    (message,) = [each for each in await town.history(PRIYA) if each["text"].startswith("Recorded: a bad")]

    await town.press(PRIYA, message, names.WITHDRAW_ACTION)

    await all_done(bot, 5)
    assert states(bot) == [("up", "withdrawn"), ("up", "accepted"), ("down", "withdrawn")]


async def test_undoing_an_older_vote_leaves_the_later_one(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await press_vote(town, PRIYA, answer, "negative")
    older = await told(town, PRIYA, "Recorded: a bad answer")
    await press_vote(town, PRIYA, answer, "positive")

    await town.press(PRIYA, older, names.WITHDRAW_ACTION)

    await all_done(bot, 4)
    assert states(bot) == [("down", "withdrawn"), ("up", "accepted")]
    assert any(text.endswith("that vote stands.") for text in await town.whispers(PRIYA))


async def test_undo_pressed_twice_is_harmless(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await press_vote(town, PRIYA, answer, "positive")
    message = await told(town, PRIYA, "Recorded: a good answer")

    await town.press(PRIYA, message, names.WITHDRAW_ACTION)
    await town.press(PRIYA, message, names.WITHDRAW_ACTION)

    assert [job.state for job in await all_done(bot, 4)] == ["done"] * 4
    with bot.parts.database.read() as session:
        records = [record.body for record in read_audit_records(session, 0)]
    assert sum("feedback.withdrawn" in body for body in records) == 1
    await told(town, PRIYA, "Taken back")


async def test_a_correction_that_is_undone_is_not_given_to_the_next_one_who_asks(bot: Bot, town: Town) -> None:
    await correct(town, PRIYA, await asked_and_answered(bot, town, ASKED), TOLD)
    message = await told(town, PRIYA, "Recorded, thank you.")
    assert (await asked_and_answered(bot, town, ASKED))["text"].strip() == TOLD

    await town.press(PRIYA, message, names.WITHDRAW_ACTION)

    await told(town, PRIYA, "Taken back: your correction is not used any more.")
    assert TOLD not in (await asked_and_answered(bot, town, ASKED))["text"]
    assert states(bot) == [("correction", "withdrawn")]


async def test_who_undoes_what_an_adapter_learned_is_told_which_and_that_the_next_training_leaves_it_out(
    bot: Bot, town: Town
) -> None:
    await correct(town, ADA, await asked_and_answered(bot, town, ASKED), TOLD)
    message = await told(town, ADA, "Recorded, thank you.")
    parts = bot.parts
    built = await asyncio.to_thread(build_dataset, parts.database, parts.store, parts.governance, "operator")
    proposal, _ = await proposed(bot, snapshot=built.digest)
    await show_proposal(bot.client, parts, proposal)
    await town.press(MARCUS, await proposal_message(town), names.APPROVE_ACTION)
    adapter = (await decided(bot, proposal)).adapter_digest

    await town.press(ADA, message, names.WITHDRAW_ACTION)

    undone = await told(town, ADA, "Taken back")
    assert f"It was used in adapter `{adapter[:12]}`; the next training leaves it out." in undone["text"]
    following = await asyncio.to_thread(build_dataset, parts.database, parts.store, parts.governance, "operator")
    assert (built.rows, following.rows) == (1, 1), "the correction of the proposal's own story is left"
    assert following.digest != built.digest


async def test_a_correction_that_was_undone_is_not_announced_as_live(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town, ASKED)
    await town.react(PRIYA, answer, "-1")
    await all_done(bot, 2)
    await correct(town, PRIYA, answer, TOLD)
    await all_done(bot, 3)
    (message,) = [each for each in await town.history(PRIYA) if each["text"].startswith("Recorded, thank you")]
    await town.press(PRIYA, message, names.WITHDRAW_ACTION)
    await all_done(bot, 4)
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)

    await town.press(MARCUS, await proposal_message(town), names.APPROVE_ACTION)

    channel = await town.dm(PRIYA)
    (news,) = await eventually(lambda: town.history(PRIYA, channel))
    assert "When is payday?" in str(news["blocks"])
    assert ASKED not in str(news["blocks"])
    assert "answers from now on" in str(await town.history(MARCUS, APPROVALS))
