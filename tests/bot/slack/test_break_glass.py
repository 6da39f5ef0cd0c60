"""The glass is broken: somebody else is told in Slack at once, says that they saw it, or rolls it back."""

import asyncio

import pytest

from bot.reconcile import Reconciler
from bot.slack import names
from storage.break_glass import BreakGlass, get_break_glass
from storage.people import person_id
from tests.bot.slack.conftest import (
    ADA,
    APPROVALS,
    MARCUS,
    PRIYA,
    Bot,
    Message,
    Town,
    all_done,
    eventually,
    find_element,
    use_policy,
)
from tests.bot.slack.proposing import Watch, proposal_message, proposed

WHY = "The <refund> limit that it answers is wrong."


@pytest.fixture
async def glass(bot: Bot) -> BreakGlass:
    """Ada took an adapter live; two approvals were needed, and Marcus is to be told."""
    use_policy(
        bot,
        approval={"approvers": [MARCUS, PRIYA], "quorum": 2, "max_contributor_share": 1.0},
        break_glass={"who": [ADA], "tell": [ADA, MARCUS]},
    )
    proposal, team = await proposed(bot)
    await look(bot)
    broken, _ = await asyncio.to_thread(bot.parts.governance.break_glass, proposal, person_id(team, ADA), WHY)
    return broken


async def look(bot: Bot) -> None:
    await Reconciler(bot.parts, bot.client).look()


async def told(town: Town) -> Message:
    channel = await town.dm(MARCUS)

    async def found() -> list[Message]:
        return [each for each in await town.history(MARCUS, channel) if "glass was broken" in each["text"]]

    (message,) = await eventually(found)
    return message


def kept(bot: Bot, glass: BreakGlass) -> BreakGlass:
    with bot.parts.database.read() as session:
        return get_break_glass(session, glass.id)


async def test_one_other_person_is_told_once_with_the_reason_and_the_approvers_too(
    bot: Bot, town: Town, glass: BreakGlass
) -> None:
    for _ in range(2):
        await look(bot)
        await all_done(bot, 2)

    message = str((await told(town))["blocks"])
    assert "Ada" in message
    assert "The &lt;refund&gt; limit that it answers is wrong." in message
    assert "Gates: as_told passed" in message
    assert f"apprentice break-glass confirm {glass.id}" in message
    announced = [each["text"] for each in await town.history(MARCUS, APPROVALS) if "glass was broken" in each["text"]]
    assert len(announced) == 1
    assert bot.parts.engine.serving == glass.adapter_digest
    assert names.APPROVE_ACTION not in str(await proposal_message(town))


async def test_who_was_told_says_that_they_saw_it_which_confirms_nothing(
    bot: Bot, town: Town, glass: BreakGlass
) -> None:
    await look(bot)
    await town.press(MARCUS, await told(town), names.GLASS_SEEN_ACTION)
    await all_done(bot, 3)

    assert kept(bot, glass).seen_at is not None
    assert kept(bot, glass).state == "open"
    message = str((await told(town))["blocks"])
    assert "Seen " in message
    assert names.GLASS_SEEN_ACTION not in message
    assert names.GLASS_UNDO_ACTION in message


async def test_who_was_told_rolls_it_back(bot: Bot, town: Town, glass: BreakGlass) -> None:
    await look(bot)
    await town.press(MARCUS, await told(town), names.GLASS_UNDO_ACTION)
    await all_done(bot, 3)

    assert kept(bot, glass).state == "rolled_back"
    assert bot.parts.engine.serving is None
    message = str((await told(town))["blocks"])
    assert "The adapter was rolled back." in message
    assert names.GLASS_UNDO_ACTION not in message


async def test_slack_asks_before_it_is_rolled_back(bot: Bot, town: Town, glass: BreakGlass) -> None:
    await look(bot)
    _, undo = find_element(await told(town), names.GLASS_UNDO_ACTION)
    assert undo["confirm"]["title"]["text"] == "Roll it back?"
    assert undo["confirm"]["style"] == "danger"


async def test_after_the_policy_changed_the_button_says_who_decides(bot: Bot, town: Town, glass: BreakGlass) -> None:
    await look(bot)
    use_policy(bot, approval={"approvers": [PRIYA, ADA]}, break_glass={"tell": [PRIYA]})
    await town.press(MARCUS, await told(town), names.GLASS_UNDO_ACTION)
    await all_done(bot, 3)

    assert kept(bot, glass).state == "open"
    said = [each["text"] for each in await town.history(MARCUS, await town.dm(MARCUS))]
    assert any("does not let you answer an emergency" in each for each in said)


async def test_unconfirmed_it_is_taken_out_by_itself(bot: Bot, town: Town, glass: BreakGlass) -> None:
    await look(bot)
    await all_done(bot, 2)
    watch = Watch()
    watch.advance(hours=25)
    use_policy(bot, clock=watch)
    await look(bot)
    await all_done(bot, 3)

    assert kept(bot, glass).state == "rolled_back"
    texts = [each["text"] for each in await town.history(MARCUS, APPROVALS)]
    assert any("the approvers did not confirm it in time" in each for each in texts)
