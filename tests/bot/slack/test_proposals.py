"""The message that asks for approval: one for each proposal, and it says what is so, whoever decided it where."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from bot.reconcile import RETRY_S, Reconciler
from bot.slack import names
from bot.slack.proposals import show_proposal
from bot.workspace.seed import AppDefinition
from storage.people import ensure_person, person_id
from storage.proposals import get_proposal, note_shown, undrawn_proposals
from storage.records import utc_now
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, Bot, Town, all_done
from tests.bot.slack.proposing import (
    decided,
    proposal_message,
    proposal_messages,
    proposed,
    read_proposal,
    use_channel,
    use_policy,
    use_quorum,
)


def forget_message(bot: Bot, proposal_id: str) -> None:
    """Leave the database as a process does that posted the message and died before noting it."""
    with bot.parts.database.transaction() as session:
        note_shown(session, proposal_id, "", "", None, None)


async def test_a_message_that_was_posted_but_not_noted_is_found_again(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    forget_message(bot, proposal)

    await Reconciler(bot.parts, bot.client).look()

    (message,) = await proposal_messages(town)
    assert read_proposal(bot, proposal).message_ts == message["ts"]


class TestWhereTheAppMayNotReadTheChannel:
    @pytest.fixture
    def app_definition(self, app_definition: AppDefinition) -> AppDefinition:
        return replace(app_definition, scopes=app_definition.scopes - {"channels:history"})

    async def test_a_second_message_of_a_proposal_works_and_goes_when_its_button_is_pressed(
        self, bot: Bot, town: Town
    ) -> None:
        proposal, _ = await proposed(bot)
        await show_proposal(bot.client, bot.parts, proposal)
        forget_message(bot, proposal)
        await show_proposal(bot.client, bot.parts, proposal)
        forgotten, noted = await proposal_messages(town)

        await town.press(MARCUS, forgotten, names.APPROVE_ACTION)
        assert (await decided(bot, proposal)).state == "approved"
        await all_done(bot, 2)

        (left,) = await proposal_messages(town)
        assert left["ts"] == noted["ts"]
        assert "Approved by Marcus Lindqvist" in str(left["blocks"])


async def test_a_message_that_nobody_noted_is_noted_when_its_button_is_pressed(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    forget_message(bot, proposal)

    async with town.watch(MARCUS):
        await town.press(MARCUS, await proposal_message(town), names.REJECT_ACTION)
        await town.submit(MARCUS, await town.view(MARCUS), names.REASON_BLOCK, "No.")
    await all_done(bot, 1)

    (message,) = await proposal_messages(town)
    assert read_proposal(bot, proposal).message_ts == message["ts"]
    assert "Rejected by Marcus Lindqvist: No." in str(message["blocks"])


async def test_what_the_command_line_decides_shows_in_the_message(bot: Bot, town: Town) -> None:
    use_quorum(bot, 2)
    proposal, team = await proposed(bot)
    reconciler = Reconciler(bot.parts, bot.client)
    await reconciler.look()
    waiting = str((await proposal_message(town))["blocks"])
    assert "Nobody has decided yet" in waiting
    assert f"Open until <!date^{int(read_proposal(bot, proposal).expires_at.timestamp())}^" in waiting

    with bot.parts.database.transaction() as session:
        ensure_person(session, team, "UOLGA", "Olga Berg", utc_now())
    decide = partial(bot.parts.governance.decide, proposal)
    await asyncio.to_thread(decide, person_id(team, MARCUS), "approve", "fine by me")
    await reconciler.look()
    shown = str((await proposal_message(town))["blocks"])
    assert "Approved by Marcus Lindqvist: fine by me" in shown
    assert names.APPROVE_ACTION in shown

    await asyncio.to_thread(decide, person_id(team, "UOLGA"), "reject", "not by me")
    await reconciler.look()
    shown = str((await proposal_message(town))["blocks"])
    assert "Rejected by Olga Berg: not by me" in shown
    assert names.APPROVE_ACTION not in shown


async def test_an_expired_proposal_loses_its_buttons(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    reconciler = Reconciler(bot.parts, bot.client)
    await reconciler.look()
    with bot.parts.database.transaction() as session:
        get_proposal(session, proposal).expires_at = utc_now()
    await reconciler.look()
    shown = str((await proposal_message(town))["blocks"])
    assert "It is expired" in shown
    assert names.APPROVE_ACTION not in shown


async def test_an_expired_proposal_that_some_approved_says_that_it_expired(bot: Bot, town: Town) -> None:
    use_quorum(bot, 2)
    proposal, team = await proposed(bot)
    await asyncio.to_thread(bot.parts.governance.decide, proposal, person_id(team, MARCUS), "approve")
    reconciler = Reconciler(bot.parts, bot.client)
    await reconciler.look()
    with bot.parts.database.transaction() as session:
        get_proposal(session, proposal).expires_at = utc_now()
    await reconciler.look()

    assert "Approved by Marcus Lindqvist. It is expired." in str((await proposal_message(town))["blocks"])


async def test_the_message_says_how_many_approvals_are_missing_as_people_give_them(bot: Bot, town: Town) -> None:
    use_quorum(bot, 2)
    proposal, team = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    message = await proposal_message(town)
    assert "Approvals needed: 2, missing: 2." in str(message["blocks"])
    assert "anybody but Ada Lindgren, Priya Raman." in str(message["blocks"])

    await town.press(MARCUS, message, names.APPROVE_ACTION)
    await all_done(bot, 1)

    content = str((await proposal_message(town))["blocks"])
    assert "Approvals needed: 2, missing: 1." in content
    assert "anybody but Ada Lindgren, Priya Raman, Marcus Lindqvist." in content

    with bot.parts.database.transaction() as session:
        ensure_person(session, team, "UOLGA", "Olga Berg", utc_now())
    await asyncio.to_thread(bot.parts.governance.decide, proposal, person_id(team, "UOLGA"), "approve")
    await Reconciler(bot.parts, bot.client).look()

    content = str((await proposal_message(town))["blocks"])
    assert "Approved by Marcus Lindqvist. Approved by Olga Berg." in content
    assert "missing" not in content


async def test_those_whom_the_policy_names_are_mentioned(bot: Bot, town: Town) -> None:
    use_policy(bot, approval={"approvers": [ADA, MARCUS]})
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)

    assert f"Who can decide: <@{MARCUS}>." in str((await proposal_message(town))["blocks"])


async def test_where_nobody_is_left_to_decide_the_message_says_so(bot: Bot, town: Town) -> None:
    use_policy(bot, approval={"approvers": [ADA]})
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)

    assert "Nobody is left whom the policy lets decide." in str((await proposal_message(town))["blocks"])


async def test_the_message_links_to_the_report_at_the_address_that_people_use(bot: Bot, town: Town) -> None:
    web = bot.parts.settings.web.model_copy(update={"public_url": "https://apprentice.example/"})
    object.__setattr__(bot.parts, "settings", bot.parts.settings.model_copy(update={"web": web}))
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)

    digest = read_proposal(bot, proposal).report_digest
    assert f"<https://apprentice.example/reports/{digest}|" in str((await proposal_message(town))["blocks"])


async def test_a_message_that_says_what_is_so_is_left_alone(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    message = await proposal_message(town)
    await bot.client.chat_update(channel=message["channel"], ts=message["ts"], text="seen", blocks=[])
    await Reconciler(bot.parts, bot.client).look()
    assert [each["text"] for each in await town.history(MARCUS, APPROVALS)] == ["seen"]


async def test_a_deleted_message_holds_nothing_up(bot: Bot, town: Town) -> None:
    proposal, team = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    message = await proposal_message(town)
    await bot.client.chat_delete(channel=message["channel"], ts=message["ts"])
    await asyncio.to_thread(bot.parts.governance.decide, proposal, person_id(team, MARCUS), "reject", "no")
    await Reconciler(bot.parts, bot.client).look()
    with bot.parts.database.read() as session:
        assert undrawn_proposals(session) == []


async def test_a_step_that_fails_rests_for_a_while(bot: Bot, town: Town, caplog: pytest.LogCaptureFixture) -> None:
    await proposed(bot)
    slack = bot.parts.settings.slack
    use_channel(bot, "nowhere")
    now = 0.0
    reconciler = Reconciler(bot.parts, bot.client, lambda: now)
    for _ in range(3):
        await reconciler.look()
    assert caplog.text.count("there is no channel #nowhere") == 1

    use_channel(bot, slack.approvers_channel)
    await reconciler.look()
    assert await proposal_messages(town) == []
    now += RETRY_S
    await reconciler.look()
    assert len(await proposal_messages(town)) == 1
