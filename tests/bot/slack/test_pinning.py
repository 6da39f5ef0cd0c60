"""Somebody, or a channel, is pinned to an adapter: who answers them, on which side that counts, what they are told."""

import asyncio

import pytest

from bot.reconcile import Reconciler
from governance.pinning import BASE, Subject
from storage.adapters import list_adapters
from storage.people import person_id
from tests.bot.slack.conftest import ADA, ASK, MARCUS, PRIYA, Bot, Town, all_done, interactions, use_policy
from tests.bot.slack.proposing import Watch, approved, proposed, taught
from tests.bot.slack.test_command import reply
from tests.bot.slack.test_home import opened, text_of

KIM = "operator:kim"


def newest(bot: Bot) -> str:
    with bot.parts.database.read() as session:
        return list_adapters(session)[0].digest


async def pinned(bot: Bot, subject: Subject, adapter: str) -> None:
    """Let an operator pin somebody, beside the running bot, which follows."""
    rules = bot.parts.governance
    await asyncio.to_thread(lambda: rules.pin(subject, adapter, actor=KIM, reason="to compare <it>", days=7))
    await Reconciler(bot.parts, bot.client).look()


async def asked(bot: Bot, town: Town, user: str, channel: str = ASK) -> tuple[str | None, str]:
    """Let somebody ask; return which adapter answered, and on which side that counts."""
    before = len(interactions(bot))
    if channel == ASK:
        await town.answer(await town.mention(user, "kite wind"), user=user)
    else:
        await town.answer(await town.send(user, "kite wind", channel), channel, user)
    await all_done(bot, 1)
    kept = interactions(bot)[before:]
    assert len(kept) == 1
    return kept[0].adapter_digest, kept[0].source["side"]


async def test_whoever_pins_themselves_gets_that_adapter_everywhere_and_all_others_what_serves(
    bot: Bot, town: Town
) -> None:
    await proposed(bot)
    digest = newest(bot)

    told = await reply(town, ADA, f"pin {digest[:10]} 7 days to try it before I decide")

    assert f"*You are pinned* to adapter `{digest[:12]}` until <!date^" in told
    assert "to try it before I decide" in told
    assert await asked(bot, town, ADA) == (digest, "pinned")
    assert await asked(bot, town, ADA, await town.dm(ADA)) == (digest, "pinned")
    assert await asked(bot, town, PRIYA) == (None, "serving")
    await town.command(ADA, "ask kite wind")
    await all_done(bot, 5)
    assert interactions(bot)[-1].source["side"] == "pinned"

    assert await reply(town, ADA, "unpin") == "You are not pinned any more: what answers everybody answers you."
    assert await asked(bot, town, ADA) == (None, "serving")


async def test_a_pin_to_the_base_model_keeps_the_serving_adapter_and_the_canary_away(bot: Bot, town: Town) -> None:
    digest = await taught(bot)
    assert await asked(bot, town, ADA) == (digest, "serving")
    await reply(town, ADA, "pin BASE 1 is it any better?")
    assert await asked(bot, town, ADA) == (None, "pinned")


async def test_who_is_in_a_share_that_gets_a_canary_is_on_no_side_of_it_while_pinned(bot: Bot, town: Town) -> None:
    use_policy(bot, rollout={"canary_share": 0.99, "canary_hours": 24.0})
    await approved(bot, town)
    await all_done(bot, 2)
    assert await asked(bot, town, ADA) == (newest(bot), "canary")
    await reply(town, ADA, "pin base 1 compare")
    assert await asked(bot, town, ADA) == (None, "pinned")


async def test_a_pinned_channel_gets_it_in_the_channel_and_is_told_so_there(bot: Bot, town: Town) -> None:
    digest = await taught(bot)
    team = str((await bot.client.auth_test())["team_id"])
    await pinned(bot, Subject("channel", f"{team}/{ASK}"), BASE)

    assert await asked(bot, town, PRIYA) == (None, "pinned")
    assert await asked(bot, town, PRIYA, await town.dm(PRIYA)) == (digest, "serving")
    await town.command(PRIYA, "ask kite wind")
    await all_done(bot, 3)
    assert interactions(bot)[-1].source["side"] == "serving"
    told = await reply(town, PRIYA, "status")
    assert "*This channel is pinned* to the base model until <!date^" in told
    assert "to compare &lt;it&gt;" in told
    assert "unpin" not in told


async def test_the_home_and_status_tell_whoever_is_pinned_and_nobody_else(bot: Bot, town: Town) -> None:
    digest = await taught(bot)
    team = str((await bot.client.auth_test())["team_id"])
    await pinned(bot, Subject("person", person_id(team, ADA)), digest)

    assert f"pinned* to adapter `{digest[:12]}`" in await reply(town, ADA, "status")
    assert "pinned" not in await reply(town, PRIYA, "status")
    assert "`/apprentice unpin` ends that" in text_of(await opened(bot, town, ADA), "You are pinned")
    assert "pinned" not in str(await opened(bot, town, PRIYA))


async def test_one_that_cannot_be_loaded_leaves_the_person_with_what_serves_and_says_so(bot: Bot, town: Town) -> None:
    await proposed(bot)
    digest = newest(bot)
    (bot.parts.store.path(digest) / "adapter_model.safetensors").write_bytes(b"cut")

    told = await reply(town, ADA, f"pin {digest} 7 to try it")

    assert "It cannot be loaded, so what serves answers:" in told
    assert await asked(bot, town, ADA) == (None, "serving")


async def test_a_rollback_ends_the_pin_at_once(bot: Bot, town: Town) -> None:
    digest = await taught(bot)
    await reply(town, ADA, f"pin {digest} 7 because")
    assert await asked(bot, town, ADA) == (digest, "pinned")

    await asyncio.to_thread(bot.parts.governance.rollback, KIM, "wrong limits")

    assert "You are not pinned." in await reply(town, ADA, "pin")
    await bot.parts.serving.sync()
    assert await asked(bot, town, ADA) == (None, "serving")


async def test_a_pin_ends_by_itself(bot: Bot, town: Town) -> None:
    watch = Watch()
    use_policy(bot, clock=watch)
    await taught(bot)
    await reply(town, ADA, "pin base 2 because")
    assert await asked(bot, town, ADA) == (None, "pinned")
    watch.advance(days=2.1)
    assert (await asked(bot, town, ADA))[1] == "serving"
    assert await reply(town, ADA, "unpin") == "You are not pinned."


@pytest.mark.parametrize("text", ["pin 3f9a0c12", "pin base because I can", "pin base 7", "pin base soon because"])
async def test_what_cannot_be_read_is_answered_with_how_to_write_it(bot: Bot, town: Town, text: str) -> None:
    assert "`/apprentice pin 3f9a0c12 7 its tone`" in await reply(town, ADA, text)


async def test_who_may_not_and_what_is_not_possible_is_told(bot: Bot, town: Town) -> None:
    use_policy(bot, rollout={"pins_by": [MARCUS]})
    assert "does not let you choose which adapter answers you" in await reply(town, ADA, "pin base 7 because")
    assert "at most 90 days" in await reply(town, MARCUS, "pin base 91 because")
    assert "there is no adapter &lt;b&gt;" in await reply(town, MARCUS, "pin <b> 7 because")
