import asyncio

import pytest

from bot.slack import names
from bot.slack.proposals import show_proposal
from storage.adapters import serving_adapter
from storage.errors import ConfigurationError
from storage.people import person_id
from storage.proposals import decisions_on
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, PRIYA, Bot, Town, all_done, eventually
from tests.bot.slack.proposing import approved, decided, proposal_message, proposed, read_proposal, use_channel


async def test_a_proposal_is_posted_once_with_gates_and_what_changes(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)

    await show_proposal(bot.client, bot.parts, proposal)
    await show_proposal(bot.client, bot.parts, proposal)

    message = await proposal_message(town)
    shown = str(message["blocks"])
    assert len(await town.history(MARCUS, APPROVALS)) == 1
    assert "as_told" in shown
    assert "On Mondays." in shown
    assert "On the 26th." in shown
    assert read_proposal(bot, proposal).message_ts == message["ts"]


async def test_an_approval_puts_the_adapter_live_and_says_so(bot: Bot, town: Town) -> None:
    await approved(bot, town)

    await all_done(bot, 3)
    with bot.parts.database.read() as session:
        serving = serving_adapter(session)
    assert serving is not None
    assert bot.parts.engine.serving == serving.digest
    history = await town.history(MARCUS, APPROVALS)
    assert "Approved by Marcus Lindqvist" in str(history[0]["blocks"])
    assert names.APPROVE_ACTION not in str(history[0]["blocks"])
    assert "answers from now on" in history[1]["text"]


async def test_who_taught_an_adapter_is_told_when_it_is_live_with_the_new_answer(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)

    await town.press(MARCUS, await proposal_message(town), names.APPROVE_ACTION)

    channel = await town.dm(PRIYA)
    (told,) = await eventually(lambda: town.history(PRIYA, channel))
    assert "What you corrected is live" in told["text"]
    assert "When is payday?" in str(told["blocks"])


@pytest.mark.parametrize(("user", "why"), [(ADA, "you started this training run"), (PRIYA, "you wrote 100%")])
async def test_who_started_the_run_or_taught_most_of_it_does_not_decide(
    bot: Bot, town: Town, user: str, why: str
) -> None:
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)

    await town.press(user, await proposal_message(town), names.APPROVE_ACTION)

    (told,) = await eventually(lambda: town.whispers(user, APPROVALS))
    assert why in told
    assert read_proposal(bot, proposal).state == "open"
    assert await town.whispers(MARCUS, APPROVALS) == []


async def test_a_rejection_needs_a_reason_and_keeps_it(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    async with town.watch(MARCUS):
        await town.press(MARCUS, await proposal_message(town), names.REJECT_ACTION)
        view = await town.view(MARCUS)
        refused = await town.submit(MARCUS, view, names.REASON_BLOCK, "  ")
        too_long = await town.submit(MARCUS, view, names.REASON_BLOCK, "x" * 1_001)
        taken = await town.submit(MARCUS, view, names.REASON_BLOCK, "Payday moved again.")

    assert "say why" in refused["errors"][names.REASON_BLOCK]
    assert "1,001 characters" in too_long["errors"][names.REASON_BLOCK]
    assert taken["ok"]
    assert (await decided(bot, proposal)).state == "rejected"
    await all_done(bot, 1)
    assert "Rejected by Marcus Lindqvist: Payday moved again." in str((await proposal_message(town))["blocks"])


async def test_who_may_not_decide_is_told_so_instead_of_asked_for_a_reason(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    async with town.watch(ADA):
        await town.press(ADA, await proposal_message(town), names.REJECT_ACTION)
        view = await town.view(ADA)

    assert "you started this training run" in str(view["blocks"])


async def test_two_approvals_at_once_end_in_one_outcome(bot: Bot, town: Town) -> None:
    proposal, team = await proposed(bot)
    await show_proposal(bot.client, bot.parts, proposal)
    message = await proposal_message(town)

    await asyncio.gather(*(town.press(MARCUS, message, names.APPROVE_ACTION) for _ in range(2)))

    assert (await decided(bot, proposal)).state == "approved"
    await all_done(bot, 4)
    with bot.parts.database.read() as session:
        assert [decision.person_id for decision in decisions_on(session, proposal)] == [person_id(team, MARCUS)]
    (told,) = await eventually(lambda: town.whispers(MARCUS, APPROVALS))
    assert "closed already" in told
    announcements = [m for m in await town.history(MARCUS, APPROVALS) if "answers from now on" in m["text"]]
    assert len(announcements) == 1


async def test_without_an_approvers_channel_the_error_says_what_to_do(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    use_channel(bot, "nowhere")

    with pytest.raises(ConfigurationError, match="#nowhere"):
        await show_proposal(bot.client, bot.parts, proposal)
