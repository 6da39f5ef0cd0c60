"""An adapter that was taken out: the approvers hear who did it and why, and others answer from then on."""

import asyncio

from bot.reconcile import Reconciler
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, PRIYA, Bot, Town, all_done, interactions, use_policy
from tests.bot.slack.proposing import approved
from tests.bot.slack.saying import press_vote

PEOPLE = (ADA, PRIYA, MARCUS)
ANSWERS = 5


async def live(bot: Bot, town: Town) -> None:
    """Let an adapter go live as people do."""
    await approved(bot, town)
    await all_done(bot, 1)


async def voted(bot: Bot, town: Town, verdict: str) -> None:
    """Ask questions, and have people vote on the answers."""
    for number in range(ANSWERS):
        answer = await town.answer(await town.mention(PEOPLE[number % 3], f"kite {number}"))
        await press_vote(town, PEOPLE[number % 3], answer, verdict)
    await all_done(bot, 2 * ANSWERS)


async def announcements(town: Town) -> list[str]:
    return [each["text"] for each in await town.history(MARCUS, APPROVALS) if "answers again" in each["text"]]


async def test_an_adapter_that_people_vote_down_is_taken_out_and_the_approvers_are_told_why(
    bot: Bot, town: Town
) -> None:
    use_policy(bot, rollback={"automatic": True, "alpha": 0.05, "min_answers": ANSWERS})
    await voted(bot, town, "positive")
    await live(bot, town)
    digest = bot.parts.engine.serving
    assert digest is not None
    await voted(bot, town, "negative")

    await Reconciler(bot.parts, bot.client).look()

    await all_done(bot, 4 * ANSWERS + 2)
    (told,) = await announcements(town)
    assert told.startswith(
        f"Adapter `{digest[:12]}` was taken out by the policy's rules; the base model answers again."
    )
    assert "5 (100%) were voted down or corrected, by 3 people; of the 5 without it, 0 (0%)." in told
    await town.answer(await town.mention(ADA, "wind"))
    assert [row.adapter_digest for row in interactions(bot)[-2:]] == [digest, None]


async def test_a_rollback_by_hand_is_told_once_with_who_did_it_and_why(bot: Bot, town: Town) -> None:
    await live(bot, town)
    await asyncio.to_thread(bot.parts.governance.rollback, "operator:kim", "Wrong <refund> limit.")

    for _ in range(2):
        await Reconciler(bot.parts, bot.client).look()
        await all_done(bot, 2)

    (told,) = await announcements(town)
    assert "was rolled back by kim; the base model answers again. Wrong &lt;refund&gt; limit." in told
    assert bot.parts.engine.serving is None
