import asyncio

import pytest

from bot.slack import names
from storage.people import person_id
from tests.bot.slack.conftest import ADA, ASK, PRIYA, Bot, Town, all_done, eventually, interactions
from tests.bot.slack.saying import asked_and_answered, feedback, press_vote


async def test_votes_are_recorded_in_order_so_that_a_persons_latest_counts(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)

    await press_vote(town, ADA, answer, "positive")
    await press_vote(town, ADA, answer, "negative")
    await press_vote(town, PRIYA, answer, "positive")

    await all_done(bot, 4)
    team = interactions(bot)[0].workspace_id
    latest = {row.person_id: row.kind for row in feedback(bot)}
    assert [row.kind for row in feedback(bot)] == ["up", "down", "up"]
    assert latest == {person_id(team, ADA): "down", person_id(team, PRIYA): "up"}


async def test_a_voter_alone_is_told_what_was_recorded(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)

    await press_vote(town, PRIYA, answer, "positive")

    (told,) = await eventually(lambda: town.whispers(PRIYA))
    assert "Recorded" in told
    assert await town.whispers(ADA) == []


async def test_a_correction_from_the_modal_is_kept_with_question_answer_and_author(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    async with town.watch(PRIYA):
        await town.press(PRIYA, answer, names.CORRECT_ACTION)
        view = await town.view(PRIYA)
        shown = view["blocks"][1]["element"]["initial_value"]
        result = await town.submit(PRIYA, view, names.CORRECTION_BLOCK, "  Fly it at 12 knots. ")

    assert result["ok"]
    (kept,) = await eventually(lambda: asyncio.to_thread(feedback, bot))
    (about,) = interactions(bot)
    assert shown == about.answer == kept.answer
    assert (kept.kind, kept.text, kept.question) == ("correction", "Fly it at 12 knots.", "kite wind")
    assert (kept.interaction_id, kept.state) == (about.id, "accepted")
    assert kept.person_id.endswith(f"/{PRIYA}")
    (told,) = await eventually(lambda: town.whispers(PRIYA))
    assert "next training" in told


@pytest.mark.parametrize(("text", "error"), [("   \n ", "is empty"), ("x" * 50_000, "50,000 characters")])
async def test_an_empty_or_overlong_correction_is_refused_in_the_modal_and_not_kept(
    bot: Bot, town: Town, text: str, error: str
) -> None:
    answer = await asked_and_answered(bot, town)
    async with town.watch(PRIYA):
        await town.press(PRIYA, answer, names.CORRECT_ACTION)
        view = await town.view(PRIYA)
        result = await town.submit(PRIYA, view, names.CORRECTION_BLOCK, text)
        mended = await town.submit(PRIYA, view, names.CORRECTION_BLOCK, "Fly it at 12 knots.")

    assert error in result["errors"][names.CORRECTION_BLOCK]
    assert mended["ok"]
    await all_done(bot, 2)
    assert [row.text for row in feedback(bot)] == ["Fly it at 12 knots."]


async def test_the_shortcut_on_an_answer_opens_the_same_modal(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    async with town.watch(PRIYA):
        await town.post("shortcut", user=PRIYA, channel=ASK, ts=answer["ts"], callback_id=names.CORRECT_SHORTCUT)
        view = await town.view(PRIYA)

    assert view["callback_id"] == names.CORRECTION_VIEW


async def test_the_shortcut_on_somebody_elses_message_explains_itself(bot: Bot, town: Town) -> None:
    ts = await town.send(ADA, "lunch?")
    async with town.watch(PRIYA):
        await town.post("shortcut", user=PRIYA, channel=ASK, ts=ts, callback_id=names.CORRECT_SHORTCUT)
        view = await town.view(PRIYA)

    assert "answers that I gave" in str(view["blocks"])
