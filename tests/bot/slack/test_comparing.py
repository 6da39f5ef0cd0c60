"""Two answers without names: what is shown, what a click becomes, who learns whose they were, and how it is undone."""

import pytest
from sqlmodel import select

from bot.slack import names
from bot.slack.comparing import serving_is_a
from bot.slack.desks import Desks
from bot.slack.requests import Command
from bot.workspace.blocks import block_problems
from storage.adapters import list_adapters
from storage.comparisons import BlindComparison, Preferences, count_preferences
from tests.bot.slack.conftest import ADA, PRIYA, Bot, Message, Town, all_done, interactions
from tests.bot.slack.proposing import corrected, proposed, taught
from tests.bot.slack.saying import feedback, has, told
from tests.bot.slack.test_command import reply, shown

QUESTION = "kite wind"


def newest(bot: Bot) -> str:
    with bot.parts.database.read() as session:
        return list_adapters(session)[0].digest


def kept(bot: Bot) -> BlindComparison:
    """Return the one comparison that is kept."""
    with bot.parts.database.read() as session:
        (found,) = session.exec(select(BlindComparison)).all()
        return found


async def compared(bot: Bot, town: Town) -> Message:
    """Let Ada compare the base model with an adapter that waits for approval; return what she is shown."""
    await proposed(bot)
    await town.command(ADA, f"compare {QUESTION}")
    return await told(town, ADA, "Which answer is better?")


def text_of(message: Message) -> str:
    return "\n".join(
        text if isinstance(text := block.get("text", ""), str) else text["text"] for block in message["blocks"]
    )


async def test_two_answers_are_shown_to_the_asker_alone_without_a_word_of_whose_they_are(bot: Bot, town: Town) -> None:
    message = await compared(bot, town)

    answers = interactions(bot)
    assert {row.adapter_digest for row in answers} == {None, newest(bot)}
    assert all((row.source["side"], row.private, row.question) == ("compared", True, QUESTION) for row in answers)
    text = text_of(message)
    assert all(row.answer in text for row in answers)
    assert text.index("*Answer A*") < text.index("*Answer B*")
    assert newest(bot)[:8] not in str(message)
    assert "base" not in text
    assert await town.history(PRIYA) == []
    (buttons,) = [block["elements"] for block in message["blocks"] if block["type"] == "actions"]
    assert [each["text"]["text"] for each in buttons] == ["A is better", "B is better", "Both good", "Neither"]
    assert block_problems(message["blocks"]) == []


def test_which_of_them_is_a_is_left_to_chance_and_stays_so() -> None:
    coins = [serving_is_a(f"cmp_{number}") for number in range(2_000)]
    assert 900 <= sum(coins) <= 1_100
    assert coins == [serving_is_a(f"cmp_{number}") for number in range(2_000)]


@pytest.mark.parametrize("preferred", ["a", "b"])
async def test_the_better_one_is_recorded_with_the_other_and_it_is_told_whose_they_were(
    bot: Bot, town: Town, preferred: str
) -> None:
    message = await compared(bot, town)
    await town.press(ADA, message, names.PREFER_ACTIONS[preferred])

    revealed = await told(town, ADA, f"Recorded: you prefer answer {preferred.upper()}.")
    choice = kept(bot)
    a, b = (f"adapter `{digest[:12]}` (proposed)" if digest else "the base model" for digest in
            (choice.a_adapter, choice.b_adapter))  # fmt: skip
    assert {choice.a_adapter, choice.b_adapter} == {None, newest(bot)}
    assert f"*Answer A* is {a}" in text_of(revealed)
    assert f"*Answer B* is {b}" in text_of(revealed)
    by_id = {row.id: row for row in interactions(bot)}
    better, worse = (choice.a_id, choice.b_id) if preferred == "a" else (choice.b_id, choice.a_id)
    (said,) = [each for each in feedback(bot) if each.source == "comparison"]
    assert (said.kind, said.text, said.answer) == ("preference", by_id[better].answer, by_id[worse].answer)
    assert (said.question, said.private, said.state) == (QUESTION, False, "accepted")
    assert not has(revealed, names.PREFER_ACTIONS["a"])
    with bot.parts.database.read() as session:
        assert count_preferences(session, by_id[better].adapter_digest) == Preferences(1, 1)
        assert count_preferences(session, by_id[worse].adapter_digest) == Preferences(0, 1)


@pytest.mark.parametrize(("preferred", "sentence", "kind"), [
    ("both", "Recorded: both are good answers.", "up"), ("neither", "Recorded: neither is a good answer.", "down"),
])  # fmt: skip
async def test_both_and_neither_are_recorded_of_each_and_taken_back_together(
    bot: Bot, town: Town, preferred: str, sentence: str, kind: str
) -> None:
    await town.press(ADA, await compared(bot, town), names.PREFER_ACTIONS[preferred])
    revealed = await told(town, ADA, sentence)
    assert [each.kind for each in feedback(bot) if each.source == "comparison"] == [kind, kind]

    await town.press(ADA, revealed, names.WITHDRAW_ACTION)
    await told(town, ADA, "Taken back: your choice between the two answers does not count any more.")
    assert [each.state for each in feedback(bot) if each.source == "comparison"] == ["withdrawn"] * 2


async def test_clicks_that_come_twice_or_contradict_each_other_count_once(connected_bot: Bot, town: Town) -> None:
    bot = connected_bot
    bot.start_worker()
    message = await compared(bot, town)
    await bot.stop_worker()
    for which in ("b", "a", "b", "both"):
        await town.press(ADA, message, names.PREFER_ACTIONS[which])
    bot.start_worker()
    await all_done(bot, 5)

    assert [each.kind for each in feedback(bot) if each.source == "comparison"] == ["preference"]
    assert kept(bot).preferred == "b"
    assert any("you prefer answer B. " in each and "You had chosen before" in each for each in await town.whispers(ADA))


async def test_a_question_that_was_answered_before_a_crash_is_shown_as_it_was(bot: Bot, town: Town) -> None:
    await compared(bot, town)
    before = [(row.id, row.answer) for row in interactions(bot)]
    (job,) = [event for event in await all_done(bot, 1) if event.kind == "command"]
    again = Command(**job.payload)
    await Desks(bot.parts, bot.client, again.team).do(again, job)

    assert [(row.id, row.answer) for row in interactions(bot)] == before
    first, second = [each for each in await town.history(ADA) if each["ephemeral"]]
    assert text_of(first) == text_of(second)
    assert kept(bot).person_id.endswith(ADA)


async def test_with_nothing_beside_the_base_model_there_is_nothing_to_compare(bot: Bot, town: Town) -> None:
    assert "nothing to compare it with" in await reply(town, ADA, f"compare {QUESTION}")
    assert "`/apprentice compare how much" in await reply(town, ADA, "compare")
    assert interactions(bot) == []


async def test_the_serving_adapter_is_compared_with_the_base_model(bot: Bot, town: Town) -> None:
    digest = await taught(bot)
    await town.command(ADA, f"compare {QUESTION}")
    await told(town, ADA, "Which answer is better?")
    assert {kept(bot).a_adapter, kept(bot).b_adapter} == {None, digest}


async def test_what_a_correction_answers_is_not_compared(bot: Bot, town: Town) -> None:
    await corrected(bot)
    await proposed(bot)
    await town.command(ADA, "compare When is payday?")
    message = await told(town, ADA, "An accepted correction answers this")
    assert "On the 26th." in text_of(message)


async def test_two_equal_answers_are_one_and_nothing_is_to_be_chosen(bot: Bot, town: Town) -> None:
    await proposed(bot, tuned=False)
    await town.command(ADA, f"compare {QUESTION}")
    message = await told(town, ADA, "Both gave the same answer")
    assert has(message, names.VOTE_ACTION)
    assert [row.source["side"] for row in interactions(bot)] == ["compared"]


async def test_one_that_cannot_be_loaded_is_not_compared_and_it_is_said_why(bot: Bot, town: Town) -> None:
    await proposed(bot)
    (bot.parts.store.path(newest(bot)) / "adapter_model.safetensors").write_bytes(b"cut")
    assert "There is nothing to compare:" in await reply(town, ADA, f"compare {QUESTION}")
    assert interactions(bot) == []


async def test_what_is_compared_counts_among_the_questions_of_a_person(bot: Bot, town: Town) -> None:
    slack = bot.parts.settings.slack.model_copy(update={"questions_per_person_per_minute": 1})
    object.__setattr__(bot.parts, "settings", bot.parts.settings.model_copy(update={"slack": slack}))
    await compared(bot, town)
    await town.command(ADA, f"compare {QUESTION}")
    assert "You asked 1 questions within a minute" in shown(await town.told(ADA, count=2))


async def test_my_data_has_what_was_chosen(bot: Bot, town: Town) -> None:
    await town.press(ADA, await compared(bot, town), names.PREFER_ACTIONS["a"])
    await told(town, ADA, "Recorded")
    assert "1 choice of the better one of two answers" in await reply(town, ADA, "my-data")
