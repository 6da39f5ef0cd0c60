import asyncio
from pathlib import Path

import pytest

from bot.slack import names
from bot.slack.approvals import post_proposal
from governance.gates import Metric
from learning.evaluation import Change, Report, write_report
from storage.adapters import serving_adapter
from storage.errors import ConfigurationError
from storage.people import ensure_person, ensure_workspace, person_id
from storage.proposals import Proposal, decisions_on, get_proposal
from storage.records import utc_now
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, MEMBERS, PRIYA, Bot, Message, Town, all_done, eventually
from tests.bot.slack.tiny import write_tiny_adapter

METRICS = {"as_told": Metric(value=0.95, n=20, low=0.8, high=1.0)}
"""The policy's other figures were not measured, which leaves the decision to people."""
CHANGE = Change(
    kind="as_told", question="When is payday?", expected="On the 26th.", before="On Mondays.", after="On the 26th.",
    verdict="gained",
)  # fmt: skip


async def proposed(bot: Bot) -> tuple[str, str]:
    """Propose an adapter made in a run that Ada started and of which Priya taught most; return proposal and team."""
    team = str((await bot.client.auth_test())["team_id"])
    return await asyncio.to_thread(_propose, bot, team), team


def _propose(bot: Bot, team: str) -> str:
    parts, rules = bot.parts, bot.parts.governance
    with parts.database.transaction() as session:
        ensure_workspace(session, team, "Northwind Kites", utc_now())
        for member in MEMBERS:
            ensure_person(session, team, member.id, member.real_name, utc_now())
    rules.record_feedback(
        workspace_id=team, person_id=person_id(team, PRIYA), kind="correction", question="When is payday?",
        answer="On Mondays.", text="On the 26th.", source="slack",
    )  # fmt: skip
    digest = parts.store.publish(lambda folder: write_tiny_adapter(folder, parts.base))
    report = parts.store.publish(_write_report)
    run = rules.queue_run(started_by=person_id(team, ADA), recipe="tiny", base_digest=parts.base.digest)
    rules.start_run(run.id, "5" * 64, 1, {})
    rules.register_adapter(run.id, digest, parts.base.digest, None, "5" * 64)
    rules.record_evaluation(digest, report, METRICS)
    return rules.propose(digest, {person_id(team, PRIYA): 1.0}).id


def _write_report(folder: Path) -> None:
    write_report(Report(snapshot_digest="", metrics={}, before={}, tests=(), changes=(CHANGE,), answers=()), folder)


async def proposal_message(town: Town) -> Message:
    async def with_blocks() -> list[Message]:
        return [message for message in await town.history(MARCUS, APPROVALS) if message.get("blocks")]

    return (await eventually(with_blocks))[0]


def read_proposal(bot: Bot, proposal_id: str) -> Proposal:
    with bot.parts.database.read() as session:
        return get_proposal(session, proposal_id)


async def decided(bot: Bot, proposal_id: str) -> Proposal:
    async def closed() -> Proposal | None:
        proposal = await asyncio.to_thread(read_proposal, bot, proposal_id)
        return proposal if proposal.state != "open" else None

    return await eventually(closed)


async def test_a_proposal_is_posted_once_with_gates_and_what_changes(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)

    await post_proposal(bot.client, bot.parts, proposal)
    await post_proposal(bot.client, bot.parts, proposal)

    message = await proposal_message(town)
    shown = str(message["blocks"])
    assert len(await town.history(MARCUS, APPROVALS)) == 1
    assert "as_told" in shown
    assert "On Mondays." in shown
    assert "On the 26th." in shown
    assert read_proposal(bot, proposal).message_ts == message["ts"]


async def test_an_approval_puts_the_adapter_live_and_says_so(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await post_proposal(bot.client, bot.parts, proposal)

    await town.press(MARCUS, await proposal_message(town), names.APPROVE_ACTION)

    assert (await decided(bot, proposal)).state == "approved"
    await all_done(bot, 3)
    with bot.parts.database.read() as session:
        serving = serving_adapter(session)
    assert serving is not None
    assert bot.parts.engine.serving == serving.digest
    history = await town.history(MARCUS, APPROVALS)
    assert "Approved by Marcus Lindqvist" in str(history[0]["blocks"])
    assert all(block["type"] != "actions" for block in history[0]["blocks"])
    assert "answers from now on" in history[1]["text"]


async def test_who_taught_an_adapter_is_told_when_it_is_live_with_the_new_answer(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await post_proposal(bot.client, bot.parts, proposal)

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
    await post_proposal(bot.client, bot.parts, proposal)

    await town.press(user, await proposal_message(town), names.APPROVE_ACTION)

    (told,) = await eventually(lambda: town.whispers(user, APPROVALS))
    assert why in told
    assert read_proposal(bot, proposal).state == "open"
    assert await town.whispers(MARCUS, APPROVALS) == []


async def test_a_rejection_needs_a_reason_and_keeps_it(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await post_proposal(bot.client, bot.parts, proposal)
    async with town.watch(MARCUS):
        await town.press(MARCUS, await proposal_message(town), names.REJECT_ACTION)
        view = await town.view(MARCUS)
        refused = await town.submit(MARCUS, view, names.REASON_BLOCK, "  ")
        taken = await town.submit(MARCUS, view, names.REASON_BLOCK, "Payday moved again.")

    assert refused["errors"][names.REASON_BLOCK]
    assert taken["ok"]
    assert (await decided(bot, proposal)).state == "rejected"
    await all_done(bot, 1)
    assert "Rejected by Marcus Lindqvist: Payday moved again." in str((await proposal_message(town))["blocks"])


async def test_who_may_not_decide_is_told_so_instead_of_asked_for_a_reason(bot: Bot, town: Town) -> None:
    proposal, _ = await proposed(bot)
    await post_proposal(bot.client, bot.parts, proposal)
    async with town.watch(ADA):
        await town.press(ADA, await proposal_message(town), names.REJECT_ACTION)
        view = await town.view(ADA)

    assert "you started this training run" in str(view["blocks"])


async def test_two_approvals_at_once_end_in_one_outcome(bot: Bot, town: Town) -> None:
    proposal, team = await proposed(bot)
    await post_proposal(bot.client, bot.parts, proposal)
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
    slack = bot.parts.settings.slack.model_copy(update={"approvers_channel": "nowhere"})
    settings = bot.parts.settings.model_copy(update={"slack": slack})
    object.__setattr__(bot.parts, "settings", settings)

    with pytest.raises(ConfigurationError, match="#nowhere"):
        await post_proposal(bot.client, bot.parts, proposal)
