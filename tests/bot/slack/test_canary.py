"""A share of the people gets the new adapter first; the approvers hear whom it answers, and when it answers all."""

import asyncio
from collections import Counter
from datetime import datetime

from bot.reconcile import Reconciler
from bot.serving import share_of
from storage.adapters import canary_adapter
from storage.people import person_id
from tests.bot.slack.conftest import ADA, APPROVALS, MARCUS, PRIYA, Bot, Town, all_done, interactions, use_policy
from tests.bot.slack.proposing import approved

PEOPLE = (ADA, MARCUS, PRIYA)


class Clock:
    """The clock of the rules, which the test moves."""

    def __init__(self) -> None:
        self.now = datetime.now().astimezone()

    def __call__(self) -> datetime:
        return self.now


async def begun(bot: Bot, town: Town, share: float, clock: Clock) -> str:
    """Let an approved adapter become a canary as people do; return its digest."""
    use_policy(bot, clock=clock, rollout={"canary_share": share, "canary_hours": 24.0})
    await approved(bot, town)
    await all_done(bot, 2)
    with bot.parts.database.read() as session:
        found = canary_adapter(session)
    assert found is not None
    return found.digest


def test_people_are_spread_evenly_each_always_on_the_same_side_and_anew_for_each_canary() -> None:
    people = [f"T1/U{number}" for number in range(2_000)]
    first, second = [[share_of(person, digest) < 0.2 for person in people] for digest in ("a" * 64, "b" * 64)]
    assert 340 <= sum(first) <= 460
    assert 40 <= sum(one and other for one, other in zip(first, second, strict=True)) <= 120
    assert first == [share_of(person, "a" * 64) < 0.2 for person in people]


async def test_who_is_in_the_share_gets_the_canary_each_time_and_all_others_what_served(bot: Bot, town: Town) -> None:
    clock = Clock()
    digest = await begun(bot, town, 0.5, clock)
    team = str((await bot.client.auth_test())["team_id"])
    shares = sorted(share_of(person_id(team, user), digest) for user in PEOPLE)
    use_policy(bot, clock=clock, rollout={"canary_share": (shares[0] + shares[1]) / 2})

    for user in PEOPLE * 2:
        await town.answer(await town.mention(user, "kite"), user=user)
    await town.command(ADA, "ask wind")
    await all_done(bot, 9)

    got: dict[str, Counter[str | None]] = {}
    for row in interactions(bot):
        got.setdefault(row.asker_id, Counter())[row.adapter_digest] += 1
        assert row.source["side"] == ("canary" if row.adapter_digest else "serving")
    assert sorted(str(set(each)) for each in got.values()) == sorted(["{None}", "{None}", str({digest})])
    assert sum(sum(each.values()) for each in got.values()) == 7


async def test_the_approvers_hear_whom_it_answers_and_later_that_it_answers_all(bot: Bot, town: Town) -> None:
    clock = Clock()
    digest = await begun(bot, town, 0.2, clock)
    reconciler = Reconciler(bot.parts, bot.client)
    await reconciler.look()
    await all_done(bot, 2)
    assert bot.parts.engine.serving is None

    clock.now = clock.now.replace(year=clock.now.year + 1)
    await reconciler.look()
    await all_done(bot, 3)

    told = [each["text"] for each in (await town.history(MARCUS, APPROVALS))[1:]]
    assert told[0].startswith(f"Adapter `{digest[:12]}` answers 20% of the people from now on")
    assert told[1] == f"Adapter `{digest[:12]}` answers from now on."
    assert len(told) == 2
    assert bot.parts.engine.serving == digest


async def test_status_tells_of_the_canary_and_a_damaged_one_answers_nobody(bot: Bot, town: Town) -> None:
    digest = await begun(bot, town, 0.9, Clock())
    await town.command(ADA, "status")
    assert f"Adapter `{digest[:12]}` answers 90% of the people" in str((await town.told(ADA))["blocks"])

    bot.parts.engine.unload_adapter(digest)
    (bot.parts.store.path(digest) / "adapter_model.safetensors").write_bytes(b"cut")
    await bot.parts.serving.sync()

    for user in PEOPLE:
        await town.answer(await town.mention(user, "kite"), user=user)
    await asyncio.sleep(0)
    assert {row.adapter_digest for row in interactions(bot)} == {None}
