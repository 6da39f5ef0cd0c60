"""A proposed policy in Slack: what it would change is read there, decided there, and holds at once."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from bot.reconcile import Reconciler
from bot.slack import blocks, names
from bot.slack.policy_blocks import policy_message
from governance.approvals import Electorate
from governance.flows import Governance
from governance.policy import Policy
from governance.policy_changes import read_policy_case
from storage.people import person_id
from storage.policies import PolicyVersion, get_version, note_version_shown
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, PRIYA, Bot, Message, Town, all_done, eventually
from tests.bot.slack.proposing import known_members, use_policy

BOTS = {"people": {"bots": "answer"}}
SOME = {"default": Electorate([], anybody=True, excluded=[])}
OLGA = "UOLGA"


def changed(policy: Policy, **sections: dict[str, Any]) -> Policy:
    content = policy.model_dump()
    for name, values in sections.items():
        content[name] |= values
    return Policy.model_validate(content)


async def begun(bot: Bot, **approval: object) -> str:
    """Put the packaged policy in force, with this approval; return the team."""
    team = await known_members(bot)
    use_policy(bot, approval=approval)
    await asyncio.to_thread(bot.parts.governance.policies.put_first_in_force, "operator:root")
    return team


async def proposed(bot: Bot, proposed_by: str = "operator:root", **sections: dict[str, Any]) -> PolicyVersion:
    """Propose a policy in which these values are different, and have Slack show it."""
    rules = bot.parts.governance
    wanted = changed(rules.policy, **(sections or BOTS))
    version = await asyncio.to_thread(rules.policies.propose, wanted, proposed_by, "the build robot <asks> things")
    await look(bot)
    return version


async def look(bot: Bot) -> None:
    await Reconciler(bot.parts, bot.client).look()


def state(bot: Bot, version: PolicyVersion) -> str:
    with bot.parts.database.read() as session:
        return get_version(session, version.id).state


async def shown(town: Town) -> Message:
    (message,) = [each for each in await town.history(MARCUS, APPROVALS) if each.get("blocks")]
    return message


async def test_what_would_change_is_posted_once_in_words_and_key_by_key(bot: Bot, town: Town) -> None:
    await begun(bot)
    await proposed(bot)
    await look(bot)

    said = json.dumps(await shown(town))
    assert "A change of policy asks for approval" in said
    assert "proposed by root: the build robot &lt;asks&gt; things" in said
    assert "*No longer*: Other apps are ignored." in said
    assert "*From now on*: Other apps get 3 answers in a thread at most." in said
    assert 'people.bots: \\"ignore\\" -&gt; \\"answer\\"' in said.replace('\\\\"', '\\"')
    assert "Approvals needed: 1, missing: 1. Who can decide: anybody." in said


async def test_an_approval_lets_it_hold_at_once_and_says_by_whom(bot: Bot, town: Town) -> None:
    await begun(bot)
    rules = bot.parts.governance
    assert not (await bot.parts.ears.hearing(rules.database, rules.policy)).bots
    version = await proposed(bot)

    await town.press(MARCUS, await shown(town), names.APPROVE_POLICY_ACTION)
    await all_done(bot, 1)

    assert state(bot, version) == "in_force"
    assert (await bot.parts.ears.hearing(rules.database, rules.policy)).bots
    message = await shown(town)
    assert "Approved by Marcus Lindqvist. It is in force." in json.dumps(message)
    assert all(block["type"] != "actions" for block in message["blocks"])


async def test_the_approvers_are_called_and_told_how_many_are_missing(bot: Bot, town: Town) -> None:
    await begun(bot, approvers=[MARCUS, PRIYA, ADA], quorum=2)
    version = await proposed(bot)
    assert f"<@{PRIYA}>" in json.dumps(await shown(town))

    await town.press(MARCUS, await shown(town), names.APPROVE_POLICY_ACTION)

    (told,) = await eventually(lambda: town.whispers(MARCUS, APPROVALS))
    assert told == "Your approval is recorded. Approvals missing: 1."
    assert state(bot, version) == "proposed"
    said = json.dumps(await shown(town))
    assert f"Approvals needed: 2, missing: 1. Who can decide: <@{PRIYA}>, <@{ADA}>." in said


async def test_a_delegate_is_called_and_approves_in_the_name_of_whose_vote_it_is(bot: Bot, town: Town) -> None:
    """Marcus and Olga approve; Priya does not, until Marcus hands her his vote."""
    team = await begun(bot, approvers=[MARCUS, OLGA], quorum=2, delegation_days=14)
    await proposed(bot)
    assert PRIYA not in json.dumps(await shown(town))
    ends_at = bot.parts.clock() + timedelta(days=7)
    hand_on = bot.parts.governance.delegate_vote
    await asyncio.to_thread(hand_on, person_id(team, MARCUS), person_id(team, PRIYA), ends_at, "on holiday")
    await look(bot)
    assert f"<@{PRIYA}> on behalf of <@{MARCUS}> until " in json.dumps(await shown(town))

    await town.press(PRIYA, await shown(town), names.APPROVE_POLICY_ACTION)
    await eventually(lambda: town.whispers(PRIYA, APPROVALS))
    said = json.dumps(await shown(town))
    assert "Approved by Priya Raman on behalf of Marcus Lindqvist." in said
    assert f"missing: 1. Who can decide: <@{OLGA}>." in said

    await town.press(MARCUS, await shown(town), names.APPROVE_POLICY_ACTION)
    (told,) = await eventually(lambda: town.whispers(MARCUS, APPROVALS))
    assert "whoever held your vote has decided on this proposal for you already" in told


async def test_whoever_proposed_it_is_told_that_others_decide(bot: Bot, town: Town) -> None:
    team = await begun(bot)
    version = await proposed(bot, person_id(team, ADA))
    message = await shown(town)

    await town.press(ADA, message, names.APPROVE_POLICY_ACTION)
    (told,) = await eventually(lambda: town.whispers(ADA, APPROVALS))
    async with town.watch(ADA):
        await town.press(ADA, message, names.REJECT_POLICY_ACTION)
        view = await town.view(ADA)

    assert "you proposed this policy" in told
    assert "you proposed this policy" in str(view["blocks"])
    assert state(bot, version) == "proposed"


async def test_a_rejection_needs_a_reason_and_shows_it(bot: Bot, town: Town) -> None:
    await begun(bot)
    version = await proposed(bot)
    async with town.watch(MARCUS):
        await town.press(MARCUS, await shown(town), names.REJECT_POLICY_ACTION)
        view = await town.view(MARCUS)
        refused = await town.submit(MARCUS, view, names.REASON_BLOCK, "  ")
        taken = await town.submit(MARCUS, view, names.REASON_BLOCK, "Robots <lie>")
    await all_done(bot, 1)

    assert "say why" in refused["errors"][names.REASON_BLOCK]
    assert taken["ok"]
    assert state(bot, version) == "rejected"
    assert "Rejected by Marcus Lindqvist: Robots &lt;lie&gt;. It is rejected." in json.dumps(await shown(town))


async def test_whoever_proposed_it_withdraws_it_by_the_button_and_it_says_why(bot: Bot, town: Town) -> None:
    team = await begun(bot, quorum=2)
    version = await proposed(bot, person_id(team, ADA))
    await town.press(MARCUS, await shown(town), names.APPROVE_POLICY_ACTION)
    await eventually(lambda: town.whispers(MARCUS, APPROVALS))
    async with town.watch(MARCUS):
        await town.press(MARCUS, await shown(town), names.WITHDRAW_POLICY_ACTION)
        assert "only whoever proposed this policy" in str((await town.view(MARCUS))["blocks"])
    async with town.watch(ADA):
        await town.press(ADA, await shown(town), names.WITHDRAW_POLICY_ACTION)
        view = await town.view(ADA)
        refused = await town.submit(ADA, view, names.REASON_BLOCK, " ")
        await town.submit(ADA, view, names.REASON_BLOCK, "Robots <lie>")
    await all_done(bot, 2)

    assert "say why" in refused["errors"][names.REASON_BLOCK]
    assert state(bot, version) == "withdrawn"
    message = await shown(town)
    assert "Approved by Marcus Lindqvist. Withdrawn by Ada Lindgren: Robots &lt;lie&gt;." in json.dumps(message)
    assert all(block["type"] != "actions" for block in message["blocks"])


async def test_who_withdraws_too_late_is_told_so(bot: Bot, town: Town) -> None:
    team = await begun(bot)
    version = await proposed(bot, person_id(team, ADA))
    async with town.watch(ADA):
        await town.press(ADA, await shown(town), names.WITHDRAW_POLICY_ACTION)
        view = await town.view(ADA)
        await asyncio.to_thread(bot.parts.governance.policies.decide, version.id, person_id(team, MARCUS), "approve")
        await town.submit(ADA, view, names.REASON_BLOCK, "Robots lie")
        (told,) = await eventually(lambda: town.whispers(ADA, APPROVALS))

    assert "nothing is to be decided on this policy any more: it is in force" in told
    assert "It is in force." in json.dumps(await shown(town))


async def test_what_the_command_line_proposed_is_withdrawn_there(bot: Bot, town: Town) -> None:
    await begun(bot)
    version = await proposed(bot)
    assert names.WITHDRAW_POLICY_ACTION not in json.dumps(await shown(town))
    await asyncio.to_thread(bot.parts.governance.policies.withdraw, version.id, "operator:root", "not yet")
    await look(bot)
    assert "Withdrawn by root: not yet." in json.dumps(await shown(town))


async def test_what_was_approved_on_the_command_line_holds_in_a_running_bot(bot: Bot, town: Town) -> None:
    team = await begun(bot)
    version = await proposed(bot)
    rules = bot.parts.governance
    beside = Governance(rules.database, rules.policy, rules.audit, rules.clock)
    await asyncio.to_thread(beside.policies.decide, version.id, person_id(team, MARCUS), "approve")
    assert rules.policy.people.bots == "ignore"

    await look(bot)

    assert rules.policy.people.bots == "answer"
    assert "It is in force." in json.dumps(await shown(town))


async def test_one_that_expired_has_no_buttons(bot: Bot, town: Town) -> None:
    await begun(bot)
    await proposed(bot)
    later = bot.parts.clock
    use_policy(bot, clock=lambda: later().replace(year=later().year + 1))

    await look(bot)

    message = await shown(town)
    assert "It is expired." in json.dumps(message)
    assert all(block["type"] != "actions" for block in message["blocks"])


async def test_a_message_that_was_posted_but_not_noted_is_found_again(bot: Bot, town: Town) -> None:
    await begun(bot)
    version = await proposed(bot)
    with bot.parts.database.transaction() as session:
        note_version_shown(session, version.id, "", "", None, None)

    await look(bot)

    with bot.parts.database.read() as session:
        assert get_version(session, version.id).message_ts == (await shown(town))["ts"]


@pytest.mark.parametrize("domains", [0, 60])
async def test_however_much_changes_the_message_fits_what_slack_takes(bot: Bot, domains: int) -> None:
    await begun(bot)
    rules = bot.parts.governance
    sections = {f"d{number}": {"approval": {"quorum": 2}} for number in range(domains)}
    wanted = changed(rules.policy, domains=sections, **BOTS)
    version = await asyncio.to_thread(rules.policies.propose, wanted, "operator:root")
    with bot.parts.database.read() as session:
        text, content = policy_message(read_policy_case(session, version), {}, SOME)
    whole = json.dumps(content, ensure_ascii=False)
    assert len(content) <= blocks.MESSAGE_BLOCKS
    assert len(whole) <= blocks.MESSAGE_CHARACTERS
    assert (content[-1]["type"], text) == ("actions", "The policy small-team: proposed.")
    assert ("`apprentice policy show" in whole) == (domains > 0)
