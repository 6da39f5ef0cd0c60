"""The bot reads the user groups that the policy names: at the start, when Slack tells of a change, and at times."""

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from bot.slack import names
from bot.slack.proposals import show_proposal
from bot.slack.user_groups import READ_AGAIN_S, GroupReading
from bot.workspace.model import UserGroup
from bot.workspace.state import Workspace
from governance.policy import Policy
from storage.people import person_id
from storage.user_groups import UserGroup as KeptGroup
from storage.user_groups import list_user_groups
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, PRIYA, Bot, Town, all_done, eventually, jobs_in, use_policy
from tests.bot.slack.proposing import proposal_message, proposed, read_proposal


class Monotonic:
    """Seconds that the test lets pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def leads(workspace: Workspace, bot: Bot) -> UserGroup:
    """Marcus and Priya, who approve adapters, and of whom nobody has read it yet."""
    group = workspace.add_user_group(ADA, "leads", "Team leads", [MARCUS, PRIYA])
    await all_done(bot, 1)
    use_policy(bot, approval={"approvers": [group.id], "max_contributor_share": 1.0})
    return group


def kept(bot: Bot) -> list[KeptGroup]:
    with bot.parts.database.read() as session:
        return list_user_groups(session)


async def until(look: Callable[[], bool]) -> None:
    async def found() -> bool:
        return await asyncio.to_thread(look)

    await eventually(found)


def members(bot: Bot) -> list[str]:
    return [person.partition("/")[2] for group in kept(bot) for person in group.members]


def counted(bot: Bot) -> list[object]:
    """Return a list that grows with each reading."""
    readings, read = list[object](), bot.client.usergroups_list

    async def reading(**arguments: object) -> object:
        readings.append(arguments)
        return await read(**arguments)

    bot.client.usergroups_list = reading  # type: ignore[assignment,method-assign]
    return readings


def hold_first_reading(bot: Bot) -> asyncio.Event:
    """Let the next reading that Slack's event asks for take until the event that is returned is set."""
    go_on, read, readings = asyncio.Event(), bot.client.usergroups_list, list[object]()

    async def reading(**arguments: object) -> object:
        readings.append(arguments)
        if len(readings) == 1:
            await go_on.wait()
        return await read(**arguments)

    bot.client.usergroups_list = reading  # type: ignore[assignment,method-assign]
    return go_on


async def test_they_are_read_at_the_start_when_slack_tells_of_a_change_and_at_times(
    bot: Bot, workspace: Workspace, leads: UserGroup
) -> None:
    clock = Monotonic()
    reading = GroupReading(bot.parts, bot.clients, clock)
    await reading.look()
    assert members(bot) == [MARCUS, PRIYA]

    workspace.change_user_group(ADA, leads, [PRIYA])
    await until(lambda: members(bot) == [PRIYA])

    leads.users = (ADA,)  # of which an event got lost
    await reading.look()
    assert members(bot) == [PRIYA]
    clock.now = READ_AGAIN_S
    await reading.look()
    assert members(bot) == [ADA]


async def test_slack_is_not_asked_while_no_policy_names_a_group(bot: Bot, workspace: Workspace) -> None:
    readings = counted(bot)
    await GroupReading(bot.parts, bot.clients).look()
    workspace.add_user_group(ADA, "lunch", "Lunch", [PRIYA])
    await all_done(bot, 1)
    assert (readings, kept(bot)) == ([], [])


async def test_a_group_is_read_as_soon_as_a_policy_that_names_it_is_proposed(bot: Bot, workspace: Workspace) -> None:
    group = workspace.add_user_group(ADA, "leads", "Team leads", [MARCUS])
    policies = bot.parts.governance.policies
    reading = GroupReading(bot.parts, bot.clients, Monotonic())
    await asyncio.to_thread(policies.put_first_in_force, "operator:kim")
    await reading.look()
    content = bot.parts.governance.policy.model_dump()
    content["approval"]["approvers"] = [group.id]
    await asyncio.to_thread(policies.propose, Policy.model_validate(content), "operator:kim")
    await reading.look()
    assert members(bot) == [MARCUS]


async def test_a_proposal_mentions_the_group_and_who_left_it_is_told_so_by_its_name(
    bot: Bot, town: Town, workspace: Workspace, leads: UserGroup
) -> None:
    await GroupReading(bot.parts, bot.clients).look()
    proposal, team = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    message = await proposal_message(town)
    assert f"Who can decide: <!subteam^{leads.id}>." in json.dumps(message)

    workspace.change_user_group(ADA, leads, [PRIYA])
    await until(lambda: members(bot) == [PRIYA])
    await town.press(MARCUS, message, names.APPROVE_ACTION)

    async def told() -> list[str]:
        return [each["text"] for each in await town.history(MARCUS, APPROVALS) if each.get("ephemeral")]

    (refusal,) = await eventually(told)
    assert f"It names: the user group @leads ({leads.id})." in refusal
    assert bot.parts.governance.may_decide(proposal, person_id(team, PRIYA)) == ""


async def test_who_was_taken_out_a_moment_before_they_pressed_is_refused(
    bot: Bot, town: Town, workspace: Workspace, leads: UserGroup
) -> None:
    await GroupReading(bot.parts, bot.clients).look()
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    message = await proposal_message(town)
    go_on = hold_first_reading(bot)
    workspace.change_user_group(ADA, leads, [PRIYA])
    await until(lambda: len(jobs_in(bot)) == 3)
    await town.press(MARCUS, message, names.APPROVE_ACTION)
    await until(lambda: "decision" in {each.kind for each in jobs_in(bot, "done")})
    assert read_proposal(bot, proposal).state == "open"
    assert "groups_changed" in {each.kind for each in jobs_in(bot, "handling")}
    go_on.set()
    await all_done(bot, 4)
    assert members(bot) == [PRIYA]


async def test_a_passing_trouble_of_slack_is_waited_out(bot: Bot, workspace: Workspace, leads: UserGroup) -> None:
    await GroupReading(bot.parts, bot.clients).look()
    workspace.set_faults(fail_next=2)
    workspace.change_user_group(ADA, leads, [PRIYA])
    await until(lambda: members(bot) == [PRIYA])


async def test_without_the_scope_it_is_said_what_to_do_and_nobody_is_named(
    bot: Bot, workspace: Workspace, leads: UserGroup, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.app = replace(workspace.app, scopes=workspace.app.scopes - {"usergroups:read"})
    proposal, team = await proposed(bot)
    with caplog.at_level(logging.WARNING):
        await GroupReading(bot.parts, bot.clients).look()
    assert "the app has not the scope usergroups:read. Install it again" in caplog.text
    assert "never read from Slack" in bot.parts.governance.may_decide(proposal, person_id(team, MARCUS))
    assert kept(bot) == []


async def test_a_group_that_names_nobody_is_warned_of_once(
    bot: Bot, workspace: Workspace, leads: UserGroup, caplog: pytest.LogCaptureFixture
) -> None:
    reading = GroupReading(bot.parts, bot.clients, Monotonic())
    await reading.look()
    workspace.change_user_group(ADA, leads, is_on=False)
    await until(lambda: members(bot) == [])
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            await reading.look()
    assert caplog.text.count(f"The user group @leads ({leads.id}) is disabled in Slack, so it names nobody.") == 1


async def test_many_events_of_one_moment_are_one_reading(bot: Bot, workspace: Workspace, leads: UserGroup) -> None:
    await bot.stop_worker()
    for user in (MARCUS, PRIYA, ADA):
        workspace.change_user_group(ADA, leads, [user])
    await asyncio.sleep(0.2)
    readings = counted(bot)
    bot.start_worker()
    await all_done(bot, 7)
    assert members(bot) == [ADA]
    assert len(readings) == 1
