"""An approved adapter in shadow is asked what people ask, and nobody sees or feels that."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlmodel import col, select

from bot.reconcile import Reconciler
from bot.slack.parts import MOST_SHADOWED, Shadowed
from bot.slack.shadowing import Shadowing
from storage.inbox import InboxEvent
from storage.shadows import AnswerFailure, shadow_answers
from tests.bot.slack.conftest import (
    ADA,
    APPROVALS,
    ASK,
    MARCUS,
    PRIYA,
    Bot,
    Town,
    all_done,
    eventually,
    interactions,
    use_policy,
)
from tests.bot.slack.proposing import approved, read_proposal


@pytest.fixture
async def shadowing(bot: Bot) -> AsyncIterator[None]:
    """Somebody asks adapters in shadow."""
    task = asyncio.create_task(Shadowing(bot.parts, look_again_s=0.01).run())
    yield
    task.cancel()


async def in_shadow(bot: Bot, town: Town) -> str:
    """Let an adapter be approved; return its digest."""
    use_policy(bot, rollout={"shadow_share": 1.0, "shadow_hours": 24.0})
    digest = read_proposal(bot, await approved(bot, town)).adapter_digest
    await Reconciler(bot.parts, bot.client).look()
    await all_done(bot, 2)
    return digest


async def answered_in_shadow(bot: Bot, digest: str, count: int) -> list[tuple[str, str, str]]:
    """Wait until so many questions were asked in shadow; return question, shadow answer and what was shown."""

    async def enough() -> list[tuple[str, str, str]]:
        with bot.parts.database.read() as session:
            found = [(shown.question, shadow.answer, shown.answer) for shadow, shown in shadow_answers(session, digest)]
        return found if len(found) >= count else []

    return await eventually(enough)


@pytest.mark.usefixtures("shadowing")
async def test_people_get_the_answers_of_what_serves_and_the_other_ones_are_kept(bot: Bot, town: Town) -> None:
    digest = await in_shadow(bot, town)
    told = [each["text"] for each in await town.history(MARCUS, APPROVALS)]
    assert any(
        text.startswith(f"Adapter `{digest[:12]}` answers 100% of the questions from now on, unseen") for text in told
    )
    shown = [await town.answer(await town.mention(user, "kite wind")) for user in (ADA, PRIYA)]

    kept = await answered_in_shadow(bot, digest, 2)

    assert {row.adapter_digest for row in interactions(bot)} == {None}
    assert [(question, seen) for question, _, seen in kept] == [("kite wind", shown[0]["text"])] * 2
    assert all(answer and answer != seen for _, answer, seen in kept)
    assert len(await town.history(ADA, ASK)) == 4


@pytest.mark.usefixtures("shadowing")
async def test_what_is_asked_in_private_is_not_asked_again(bot: Bot, town: Town) -> None:
    digest = await in_shadow(bot, town)
    direct = await town.dm(ADA)
    await town.answer(await town.send(ADA, "kite", direct), direct)
    await town.command(ADA, "ask wind")
    await town.told(ADA)
    await town.answer(await town.mention(ADA, "spool"))

    assert [question for question, _, _ in await answered_in_shadow(bot, digest, 1)] == ["spool"]


@pytest.mark.usefixtures("shadowing")
async def test_nothing_is_asked_while_an_answer_is_made(bot: Bot, town: Town) -> None:
    digest = await in_shadow(bot, town)
    with bot.parts.running.begin(ASK, "somebody else's"):
        await town.answer(await town.mention(ADA, "kite"))
        await all_done(bot, 3)
        await eventually(lambda: taken(bot))
        with bot.parts.database.read() as session:
            assert not shadow_answers(session, digest)
    assert len(await answered_in_shadow(bot, digest, 1)) == 1


async def taken(bot: Bot) -> bool:
    return bot.parts.to_shadow.empty()


async def test_of_more_questions_than_can_wait_nothing_comes(bot: Bot, town: Town) -> None:
    digest = await in_shadow(bot, town)
    while not bot.parts.to_shadow.full():
        bot.parts.to_shadow.put_nowait(Shadowed("qa_earlier", digest, []))
    await town.answer(await town.mention(ADA, "kite"))
    await all_done(bot, 3)
    waiting = [bot.parts.to_shadow.get_nowait() for _ in range(MOST_SHADOWED)]
    assert {each.interaction_id for each in waiting} == {"qa_earlier"}
    assert bot.parts.to_shadow.empty()


async def test_an_attempt_that_fails_is_kept_against_its_adapter(bot: Bot, town: Town) -> None:
    def run_out_of_memory(*_: object) -> None:
        raise MemoryError("no room for the cache")

    broken = bot.parts.engine.borrow(lambda model, *_: model.register_forward_pre_hook(run_out_of_memory))
    await town.mention(ADA, "kite")
    await eventually(lambda: failures(bot))
    broken.remove()

    first, *_ = await failures(bot)
    assert (first.adapter_digest, first.domain) == (None, "default")
    assert "no room for the cache" in first.error


async def test_an_engine_that_ended_is_held_against_no_adapter(bot: Bot, town: Town) -> None:
    bot.parts.engine.close()
    await town.mention(ADA, "kite")
    await eventually(lambda: tried(bot))
    assert await failures(bot) == []


async def tried(bot: Bot) -> list[InboxEvent]:
    """Return what failed at least once."""
    with bot.parts.database.read() as session:
        return list(session.exec(select(InboxEvent).where(col(InboxEvent.error) != "")))


async def failures(bot: Bot) -> list[AnswerFailure]:
    with bot.parts.database.read() as session:
        return list(session.exec(select(AnswerFailure)))
