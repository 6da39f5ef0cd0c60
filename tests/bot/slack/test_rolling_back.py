"""The button of a live adapter's proposal: who may takes that very adapter out, with a reason, and once."""

import asyncio

import pytest

from bot.reconcile import Reconciler
from bot.slack import names
from bot.slack.proposals import show_proposal
from storage.people import person_id
from storage.rollbacks import list_rollbacks
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, PRIYA, Bot, Message, Town, all_done, eventually, use_policy
from tests.bot.slack.proposing import (
    approved,
    proposal_message,
    proposal_messages,
    proposed,
    read_proposal,
)
from tests.bot.slack.test_taken_out import announcements

WHY = "Wrong <refund> limit."
STAGES: dict[str, dict[str, object]] = {
    "frozen": {"freeze": ["2000-01-01..2999-12-31"]},
    "shadow": {"shadow_share": 0.5, "shadow_hours": 24.0},
    "canary": {"canary_share": 0.2, "canary_hours": 24.0},
}


async def live(bot: Bot, town: Town) -> str:
    """Let an adapter go live as people do; return its digest."""
    proposal = await approved(bot, town)
    await all_done(bot, 2)
    return read_proposal(bot, proposal).adapter_digest


async def second_live(bot: Bot) -> str:
    """Let another adapter go live; return its digest."""
    proposal, team = await proposed(bot, snapshot="6" * 64, tuned=False)
    await look(bot)
    await asyncio.to_thread(bot.parts.governance.decide, proposal, person_id(team, MARCUS), "approve")
    await look(bot)
    return read_proposal(bot, proposal).adapter_digest


async def look(bot: Bot) -> None:
    await Reconciler(bot.parts, bot.client).look()


async def form(town: Town, user: str, message: Message | None = None) -> Message:
    """Press the button; return the form."""
    await town.press(user, message or await proposal_message(town), names.ROLL_BACK_ACTION)
    return await town.view(user)


async def first_message(town: Town) -> str:
    return str((await proposal_message(town))["blocks"])


def rolled_back(bot: Bot) -> list[str]:
    with bot.parts.database.read() as session:
        return [each.adapter_digest for each in list_rollbacks(session)]


async def test_the_form_says_what_happens_and_the_message_what_happened(bot: Bot, town: Town) -> None:
    digest = await live(bot, town)
    async with town.watch(PRIYA):
        view = await form(town, PRIYA)
        refused = await town.submit(PRIYA, view, names.REASON_BLOCK, "  ")
        await town.submit(PRIYA, view, names.REASON_BLOCK, WHY)
    await all_done(bot, 4)
    await look(bot)
    await all_done(bot, 4)

    assert f"takes adapter `{digest[:12]}` out at once and for good. Then the base model answers everybody." in str(
        view
    )
    assert "say why" in refused["errors"][names.REASON_BLOCK]
    assert bot.parts.engine.serving is None
    message = await first_message(town)
    assert names.ROLL_BACK_ACTION not in message
    assert "It was rolled back by Priya Raman. Wrong &lt;refund&gt; limit." in message
    assert len(await announcements(town)) == 1
    assert await town.whispers(PRIYA, APPROVALS) == []


async def test_whom_the_policy_does_not_name_is_told_so_alone_and_asked_for_nothing(bot: Bot, town: Town) -> None:
    await live(bot, town)
    use_policy(bot, roles={"operators": [MARCUS]})
    async with town.watch(ADA):
        await town.press(ADA, await proposal_message(town), names.ROLL_BACK_ACTION)
        (told,) = await eventually(lambda: town.whispers(ADA, APPROVALS))
        assert town.views[ADA] == []

    assert f"does not let you take an adapter out: it does not name you as an operator. It names: {MARCUS}." in told
    assert await town.whispers(MARCUS, APPROVALS) == []


async def test_who_loses_the_role_while_the_form_is_open_is_refused(bot: Bot, town: Town) -> None:
    digest = await live(bot, town)
    async with town.watch(ADA):
        view = await form(town, ADA)
        use_policy(bot, roles={"operators": [MARCUS]})
        await town.submit(ADA, view, names.REASON_BLOCK, WHY)
        (told,) = await eventually(lambda: town.whispers(ADA, APPROVALS))

    assert "does not let you take an adapter out" in told
    assert bot.parts.engine.serving == digest
    assert names.ROLL_BACK_ACTION in await first_message(town)


async def test_of_two_people_at_once_one_rolls_it_back_and_the_other_is_told(bot: Bot, town: Town) -> None:
    digest = await live(bot, town)
    async with town.watch(PRIYA), town.watch(MARCUS):
        views = {user: await form(town, user) for user in (PRIYA, MARCUS)}
        await asyncio.gather(*(town.submit(user, view, names.REASON_BLOCK, WHY) for user, view in views.items()))
    await all_done(bot, 5)

    assert rolled_back(bot) == [digest]
    told = [*await town.whispers(PRIYA, APPROVALS), *await town.whispers(MARCUS, APPROVALS)]
    assert told == [
        f"adapter {digest[:12]} is rolled back and the base model answers, so there is nothing to roll back."
    ]
    assert len(await announcements(town)) == 1


async def test_another_adapter_that_went_live_meanwhile_stays(bot: Bot, town: Town) -> None:
    first = await live(bot, town)
    async with town.watch(PRIYA):
        stale = await proposal_message(town)
        view = await form(town, PRIYA, stale)
        second = await second_live(bot)
        await town.submit(PRIYA, view, names.REASON_BLOCK, WHY)
        (told,) = await eventually(lambda: town.whispers(PRIYA, APPROVALS))
    async with town.watch(MARCUS):
        await town.press(MARCUS, stale, names.ROLL_BACK_ACTION)
        shown = str(await town.view(MARCUS))

    why = f"adapter {first[:12]} is retired and adapter {second[:12]} answers, so there is nothing to roll back."
    assert told == why
    assert why in shown
    assert rolled_back(bot) == []
    assert bot.parts.engine.serving == second


async def test_the_button_goes_to_whichever_adapter_is_live(bot: Bot, town: Town) -> None:
    await live(bot, town)
    assert names.ROLL_BACK_ACTION in await first_message(town)
    second = await second_live(bot)
    first, newer = (str(each["blocks"]) for each in await proposal_messages(town))
    assert names.ROLL_BACK_ACTION not in first
    assert "A newer one took its place." in first
    assert names.ROLL_BACK_ACTION in newer

    await asyncio.to_thread(bot.parts.governance.rollback, "operator:kim", WHY, adapter_digest=second)
    await look(bot)
    first, newer = (str(each["blocks"]) for each in await proposal_messages(town))
    assert names.ROLL_BACK_ACTION in first
    assert names.ROLL_BACK_ACTION not in newer
    assert "It was rolled back by kim. Wrong &lt;refund&gt; limit." in newer


async def test_what_the_policys_rules_take_out_has_no_button_any_more(bot: Bot, town: Town) -> None:
    digest = await live(bot, town)
    await asyncio.to_thread(bot.parts.governance.rollback, "system", WHY)
    await look(bot)

    assert rolled_back(bot) == [digest]
    assert "It was taken out by the policy's rules." in await first_message(town)
    assert names.ROLL_BACK_ACTION not in await first_message(town)


@pytest.mark.parametrize("stage", STAGES)
async def test_an_adapter_that_does_not_answer_all_yet_is_taken_out_too(bot: Bot, town: Town, stage: str) -> None:
    first = await live(bot, town)
    use_policy(bot, rollout=STAGES[stage])
    second = await second_live(bot)
    await all_done(bot, 3)
    _, message = await proposal_messages(town)
    async with town.watch(PRIYA):
        view = await form(town, PRIYA, message)
        await town.submit(PRIYA, view, names.REASON_BLOCK, WHY)
    await all_done(bot, 5)

    assert f"Then adapter `{first[:12]}` answers everybody." in str(view)
    assert rolled_back(bot) == [second]
    assert bot.parts.engine.serving == first
    (begun,) = [each["text"] for each in await town.history(MARCUS, APPROVALS) if "unless" in each["text"]]
    assert "*Roll back* at its proposal, or `apprentice rollback`, does that." in begun


async def test_a_proposal_that_was_never_approved_has_no_button(bot: Bot, town: Town) -> None:
    proposal, team = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    assert names.ROLL_BACK_ACTION not in await first_message(town)
    await asyncio.to_thread(bot.parts.governance.decide, proposal, person_id(team, MARCUS), "reject", "no")
    await look(bot)
    assert names.ROLL_BACK_ACTION not in await first_message(town)
