"""Somebody else decides with an approver's vote in Slack, by the same buttons, and the message names both."""

import asyncio
from datetime import timedelta

import pytest

from bot.reconcile import Reconciler
from bot.slack import names
from storage.people import ensure_person, person_id
from storage.proposals import decisions_on
from tests.bot.slack.conftest import APPROVALS, MARCUS, PRIYA, Bot, Town, all_done, eventually, use_policy
from tests.bot.slack.proposing import decided, known_members, proposal_message, proposed

OLGA = "UOLGA"
"""Marcus and Olga approve; Priya does not, and did not write too much of what is learned."""


@pytest.fixture
async def team(bot: Bot) -> str:
    use_policy(
        bot,
        approval={"approvers": [MARCUS, OLGA], "quorum": 2, "delegation_days": 14, "max_contributor_share": 1.0},
    )
    team = await known_members(bot)
    with bot.parts.database.transaction() as session:
        ensure_person(session, team, OLGA, "Olga", bot.parts.clock())
    return team


async def hand_on(bot: Bot, team: str) -> None:
    ends_at = bot.parts.clock() + timedelta(days=7)
    whose, to = person_id(team, MARCUS), person_id(team, PRIYA)
    await asyncio.to_thread(bot.parts.governance.delegate_vote, whose, to, ends_at, "on holiday")


async def look(bot: Bot) -> None:
    await Reconciler(bot.parts, bot.client).look()


async def shown(town: Town) -> str:
    return str((await proposal_message(town))["blocks"])


async def test_the_message_follows_who_can_decide_for_whom(bot: Bot, town: Town, team: str) -> None:
    await proposed(bot)
    await look(bot)
    assert PRIYA not in await shown(town)

    await hand_on(bot, team)
    await look(bot)
    assert f"<@{PRIYA}> on behalf of <@{MARCUS}> until " in await shown(town)

    await asyncio.to_thread(bot.parts.governance.revoke_delegation, person_id(team, MARCUS))
    await look(bot)
    assert PRIYA not in await shown(town)


async def test_a_delegate_approves_by_the_button_and_both_are_named(bot: Bot, town: Town, team: str) -> None:
    proposal, _ = await proposed(bot)
    await hand_on(bot, team)
    await look(bot)

    await town.press(PRIYA, await proposal_message(town), names.APPROVE_ACTION)
    (told,) = await eventually(lambda: town.whispers(PRIYA, APPROVALS))
    assert "one more approval is needed" in told
    assert "Approved by Priya Raman on behalf of Marcus Lindqvist." in await shown(town)
    with bot.parts.database.read() as session:
        (decision,) = decisions_on(session, proposal)
    assert decision.people == [person_id(team, PRIYA), person_id(team, MARCUS)]

    await town.press(MARCUS, await proposal_message(town), names.APPROVE_ACTION)
    (told,) = await eventually(lambda: town.whispers(MARCUS, APPROVALS))
    assert "whoever held your vote has decided on this proposal for you already" in told


async def test_a_delegate_rejects_with_a_reason(bot: Bot, town: Town, team: str) -> None:
    proposal, _ = await proposed(bot)
    await hand_on(bot, team)
    await look(bot)
    async with town.watch(PRIYA):
        await town.press(PRIYA, await proposal_message(town), names.REJECT_ACTION)
        await town.submit(PRIYA, await town.view(PRIYA), names.REASON_BLOCK, "Payday moved again.")

    assert (await decided(bot, proposal)).state == "rejected"
    await all_done(bot, 1)
    assert "Rejected by Priya Raman on behalf of Marcus Lindqvist: Payday moved again." in await shown(town)


async def test_after_it_was_taken_back_the_button_says_who_decides(bot: Bot, town: Town, team: str) -> None:
    await proposed(bot)
    await hand_on(bot, team)
    await look(bot)
    await asyncio.to_thread(bot.parts.governance.revoke_delegation, person_id(team, MARCUS))

    await town.press(PRIYA, await proposal_message(town), names.APPROVE_ACTION)
    (told,) = await eventually(lambda: town.whispers(PRIYA, APPROVALS))
    assert "does not name you as an approver" in told
