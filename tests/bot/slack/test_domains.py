"""Channels about a domain that the policy names have the adapter of that domain, and teach it alone."""

import asyncio

from bot.reconcile import Reconciler
from learning.dataset import build_dataset
from learning.scheduler import new_corrections
from storage.channels import ChannelSettings
from storage.domains import DEFAULT_DOMAIN
from storage.feedback import list_feedback
from storage.people import person_id
from tests.bot.slack.conftest import ADA, APPROVALS, ASK, MARCUS, PRIYA, Bot, Town, all_done, interactions, use_policy
from tests.bot.slack.proposing import approved, known_members, proposal_message, read_proposal
from tests.bot.slack.saying import press_vote


async def about_hr(bot: Bot) -> None:
    """Let the policy name a domain, and the channel be about it."""
    use_policy(bot, domains={"hr": {}})
    team = await known_members(bot)
    settings = ChannelSettings(domain="hr")
    await asyncio.to_thread(bot.parts.governance.change_channel, team, ASK, settings, person_id(team, ADA))


async def test_the_adapter_of_a_domain_answers_in_channels_about_it_and_nowhere_else(bot: Bot, town: Town) -> None:
    await about_hr(bot)
    digest = read_proposal(bot, await approved(bot, town, "hr")).adapter_digest
    await all_done(bot, 1)

    assert "It would answer in channels about hr." in str((await proposal_message(town))["blocks"])
    told = [each["text"] for each in await town.history(MARCUS, APPROVALS)]
    assert f"Adapter `{digest[:12]}` answers in channels about hr from now on." in told
    await town.answer(await town.mention(ADA, "kite"))
    direct = await town.dm(ADA)
    await town.answer(await town.send(ADA, "kite", direct), direct)
    assert [row.adapter_digest for row in interactions(bot)] == [digest, None]
    await town.command(ADA, "status")
    status = str((await town.told(ADA))["blocks"])
    assert "The base model.\\nIn channels about hr: Adapter" in status
    assert digest[:12] in status


async def test_a_rollback_in_a_domain_is_told_and_the_default_one_answers_there_again(bot: Bot, town: Town) -> None:
    await about_hr(bot)
    await approved(bot, town, "hr")
    await all_done(bot, 1)

    await asyncio.to_thread(bot.parts.governance.rollback, "operator:kim", "Outdated.", "hr")
    await Reconciler(bot.parts, bot.client).look()
    await all_done(bot, 2)

    told = [each["text"] for each in await town.history(MARCUS, APPROVALS)]
    assert any("the base model answers again in channels about hr. Outdated." in text for text in told)
    await town.answer(await town.mention(ADA, "kite"))
    assert interactions(bot)[-1].adapter_digest is None


async def test_what_is_said_there_teaches_the_adapter_of_the_domain_and_no_other(bot: Bot, town: Town) -> None:
    await about_hr(bot)
    await press_vote(town, ADA, await town.answer(await town.mention(ADA, "kite")), "positive")
    await all_done(bot, 2)
    with bot.parts.database.read() as session:
        assert [row.domain for row in list_feedback(session)] == ["hr"]

    policy, parts = bot.parts.governance.policy, bot.parts
    for domain, text in (("hr", "On the 26th."), (DEFAULT_DOMAIN, "On the 3rd.")):
        parts.governance.record_feedback(
            workspace_id="TLOCAL", person_id=person_id("TLOCAL", PRIYA), kind="correction", question="When is payday?",
            answer="On Mondays.", text=text, source="slack", domain=domain,
        )  # fmt: skip
    assert [new_corrections(parts.database, policy.labels_of(each)) for each in ("hr", DEFAULT_DOMAIN)] == [1, 1]
    built = [
        build_dataset(parts.database, parts.store, parts.governance, "schedule", domain=each)
        for each in ("hr", DEFAULT_DOMAIN)
    ]
    assert [(each.rows, each.sent_to_review) for each in built] == [(1, 0), (1, 0)]
    assert built[0].digest != built[1].digest

    answer = await town.answer(await town.mention(MARCUS, "When is payday?"), user=MARCUS)
    assert "On the 26th." in answer["text"]
    direct = await town.dm(MARCUS)
    answer = await town.answer(await town.send(MARCUS, "When is payday?", direct), direct, MARCUS)
    assert "On the 3rd." in answer["text"]


async def test_training_is_started_for_a_domain_that_the_policy_names(bot: Bot, town: Town) -> None:
    await about_hr(bot)
    await town.command(MARCUS, "train kites")
    refused = (await town.told(MARCUS))["text"]
    assert "has no domain 'kites'. It has: default, hr." in refused
    await town.command(MARCUS, "train hr")
    assert "Nothing is new since the last training run" in (await town.told(MARCUS, count=2))["text"]
