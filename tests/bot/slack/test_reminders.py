"""Reminders before a proposal expires: each one once, to those who can still decide, none when it is decided."""

import asyncio

import pytest

from bot.reconcile import Reconciler
from storage.people import person_id
from storage.proposals import get_proposal
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, PRIYA, Bot, Message, Town
from tests.bot.slack.proposing import Watch, known_members, proposal_message, proposed, read_proposal, use_policy

OLGA = "UOLGA"


@pytest.fixture
def watch(bot: Bot) -> Watch:
    """The clock of the rules; a proposal is open for seven days from its start."""
    watch = Watch()
    use_policy(bot, clock=watch, approval={"approvers": [ADA, PRIYA, MARCUS, OLGA], "quorum": 2})
    return watch


async def look(bot: Bot) -> None:
    await Reconciler(bot.parts, bot.client).look()


async def reminders(town: Town) -> list[Message]:
    messages = await town.history(MARCUS, APPROVALS)
    return [each for each in messages if each.get("metadata", {}).get("event_type") == "apprentice_reminder"]


async def test_each_reminder_comes_once_in_the_thread_of_the_proposal(bot: Bot, town: Town, watch: Watch) -> None:
    await proposed(bot)
    await look(bot)
    watch.advance(days=6, hours=-1)
    await look(bot)
    assert await reminders(town) == []

    watch.advance(hours=1)
    for _ in range(2):
        await look(bot)
    (reminder,) = await reminders(town)
    assert reminder["thread_ts"] == (await proposal_message(town))["ts"]
    assert "less than 24 hours" in reminder["text"]

    watch.advance(hours=22)
    for _ in range(2):
        await look(bot)
    assert ["less than 2 hours" in each["text"] for each in await reminders(town)] == [False, True]


async def test_of_a_proposed_policy_likewise_calling_those_who_can_still_decide(
    bot: Bot, town: Town, watch: Watch
) -> None:
    team = await known_members(bot)
    policies = bot.parts.governance.policies
    await asyncio.to_thread(policies.put_first_in_force, "operator:root")
    policy = bot.parts.governance.policy
    wanted = policy.model_copy(update={"people": policy.people.model_copy(update={"bots": "answer"})})
    version = await asyncio.to_thread(policies.propose, wanted, person_id(team, ADA))
    await look(bot)
    (shown,) = [each for each in await town.history(MARCUS, APPROVALS) if each.get("blocks")]
    await asyncio.to_thread(policies.decide, version.id, person_id(team, MARCUS), "approve")
    for hours in (143, 1, 22):
        watch.advance(hours=hours)
        for _ in range(2):
            await look(bot)

    first, second = await reminders(town)
    assert [each["thread_ts"] for each in (first, second)] == [shown["ts"]] * 2
    assert "less than 24 hours" in first["text"]
    assert "less than 2 hours" in second["text"]
    assert f"Approvals needed: 2, missing: 1. Who can decide: <@{PRIYA}>, <@{OLGA}>." in second["text"]
    for user in (ADA, MARCUS):
        assert user not in second["text"]
    await asyncio.to_thread(policies.withdraw, version.id, person_id(team, ADA), "not yet")
    watch.advance(hours=1)
    await look(bot)
    assert len(await reminders(town)) == 2


async def test_only_those_are_mentioned_who_can_still_decide(bot: Bot, town: Town, watch: Watch) -> None:
    proposal, team = await proposed(bot)
    await look(bot)
    await asyncio.to_thread(bot.parts.governance.decide, proposal, person_id(team, MARCUS), "approve")
    watch.advance(days=6, hours=23)
    await look(bot)

    (reminder,) = await reminders(town)
    assert f"<@{OLGA}>" in reminder["text"]
    for user in (ADA, PRIYA, MARCUS):
        assert user not in reminder["text"]


async def test_where_anybody_may_decide_nobody_is_mentioned(bot: Bot, town: Town, watch: Watch) -> None:
    use_policy(bot, approval={"approvers": ["*"]})
    await proposed(bot)
    await look(bot)
    watch.advance(days=6)
    await look(bot)

    (reminder,) = await reminders(town)
    assert "anybody but Ada Lindgren, Priya Raman" in reminder["text"]
    assert "<@" not in reminder["text"]


async def test_after_a_pause_only_the_latest_reminder_is_given(bot: Bot, town: Town, watch: Watch) -> None:
    await proposed(bot)
    await look(bot)
    watch.advance(days=6, hours=23)
    for _ in range(2):
        await look(bot)

    (reminder,) = await reminders(town)
    assert "less than 2 hours" in reminder["text"]


@pytest.mark.parametrize("verdict", ["reject", "expire"])
async def test_a_closed_proposal_reminds_nobody(bot: Bot, town: Town, watch: Watch, verdict: str) -> None:
    proposal, team = await proposed(bot)
    await look(bot)
    if verdict == "reject":
        await asyncio.to_thread(bot.parts.governance.decide, proposal, person_id(team, MARCUS), "reject", "no")
        watch.advance(days=6, hours=23)
    else:
        watch.advance(days=7)
    await look(bot)

    assert await reminders(town) == []


async def test_a_policy_without_reminders_gives_none(bot: Bot, town: Town, watch: Watch) -> None:
    use_policy(bot, approval={"remind_hours_before": []})
    await proposed(bot)
    await look(bot)
    watch.advance(days=6, hours=23)
    await look(bot)

    assert await reminders(town) == []


async def test_a_proposal_whose_message_is_gone_holds_nothing_up(bot: Bot, town: Town, watch: Watch) -> None:
    proposal, _ = await proposed(bot)
    await look(bot)
    message = await proposal_message(town)
    await bot.client.chat_delete(channel=message["channel"], ts=message["ts"])
    watch.advance(days=6)
    await look(bot)

    assert read_proposal(bot, proposal).reminded_hours == 24


async def test_a_reminder_that_was_given_but_not_noted_is_not_given_again(bot: Bot, town: Town, watch: Watch) -> None:
    proposal, _ = await proposed(bot)
    await look(bot)
    watch.advance(days=6)
    await look(bot)
    with bot.parts.database.transaction() as session:
        get_proposal(session, proposal).reminded_hours = None

    await look(bot)

    assert len(await reminders(town)) == 1
    assert read_proposal(bot, proposal).reminded_hours == 24
