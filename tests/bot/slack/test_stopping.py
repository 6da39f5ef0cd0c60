"""The Stop button that Slack shows while an answer is in the making."""

import asyncio

import pytest

from bot.slack import names, worker
from bot.slack.answering import STOPPED
from bot.slack.jobs import Stop, job_of_event
from bot.slack.pace import Pace
from bot.slack.stopping import TOO_LATE
from storage import inbox
from tests.bot.slack.conftest import (
    ADA,
    ASK,
    PATIENCE_S,
    PRIYA,
    Bot,
    Message,
    Town,
    all_done,
    busy,
    eventually,
    find_element,
    interactions,
)


class TestAnAnswerThatTakesAWhile:
    @pytest.fixture
    def pace(self) -> Pace:
        return Pace(look=0.02, patience=0.0)

    async def test_ends_with_what_it_has_said_when_anybody_in_the_thread_presses_stop(
        self, bot: Bot, town: Town
    ) -> None:
        await town.post("faults", delay_ms=200)  # so that the answer is in the making for a while
        asked = await town.mention(ADA, "kite wind")
        await eventually(lambda: growing(town, asked))

        await press_stop(town, PRIYA, asked)

        (kept,) = await eventually(lambda: asyncio.to_thread(interactions, bot))
        (answer,) = await town.answers(asked)
        assert answer["text"].split() == [*kept.answer.split(), STOPPED]
        assert len(kept.answer.split()) < bot.parts.settings.inference.max_new_tokens
        assert kept.usage == {"finish_reason": "stopped"}
        assert kept.answer_ts == answer["ts"]
        assert find_element(answer, names.VOTE_ACTION)
        assert find_element(answer, names.CORRECT_ACTION)
        await all_done(bot, 2)
        assert await town.whispers(PRIYA) == []

    async def test_is_stopped_although_it_waits_for_the_engine_and_every_hand_is_full(
        self, bot: Bot, town: Town, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(worker, "AT_ONCE", 1)
        with busy(bot.parts.engine):
            asked = await town.mention(ADA, "kite wind")
            await press_stop(town, ADA, asked)
            answer = await town.answer(asked)
        (kept,) = await eventually(lambda: asyncio.to_thread(interactions, bot))
        assert answer["text"].strip() == kept.answer == STOPPED

        again = await town.answer(await town.mention(ADA, "kite wind"))
        assert STOPPED not in again["text"]

    async def test_has_no_button_any_more_once_it_is_complete(self, bot: Bot, town: Town) -> None:
        with busy(bot.parts.engine):
            asked = await town.mention(ADA, "kite wind")
            await eventually(lambda: button(town, asked))
        await town.answer(asked)

        await all_done(bot, 1)
        assert await town.stoppable() == []

    async def test_leaves_no_button_behind_when_its_process_stops_and_another_answers(
        self, bot: Bot, town: Town
    ) -> None:
        with busy(bot.parts.engine):
            asked = await town.mention(ADA, "kite wind")
            await eventually(lambda: button(town, asked))
            await bot.stop_worker()
        with bot.parts.database.transaction() as session:
            assert inbox.requeue_unfinished(session) == 1
        bot.start_worker()

        await all_done(bot, 1)
        assert len(await town.answers(asked)) == 1
        assert await town.stoppable() == []


class TestAnAnswerThatIsShort:
    @pytest.fixture
    def pace(self) -> Pace:
        return Pace(patience=PATIENCE_S)

    async def test_never_has_a_button(self, bot: Bot, town: Town) -> None:
        async with town.watch(ADA):
            asked = await town.mention(ADA, "kite")
            await town.answer(asked)
            await all_done(bot, 1)

            async def over() -> bool:
                return (asked, "") in town.statuses and (asked, "active") in town.sessions

            await eventually(over)
        assert (asked, "processing") not in town.sessions


async def test_who_presses_stop_after_the_end_is_told_so_and_the_button_goes(bot: Bot, town: Town) -> None:
    asked = await town.mention(ADA, "kite")
    answer = await town.answer(asked)
    await all_done(bot, 1)
    await bot.client.agents_sessions_setStatus(channel_id=ASK, thread_ts=asked, status="processing")

    await press_stop(town, PRIYA, asked)

    await all_done(bot, 2)
    assert await town.whispers(PRIYA) == [TOO_LATE]
    assert await town.whispers(ADA) == []
    assert await town.stoppable() == []
    assert await town.answers(asked) == [answer]


def test_a_click_is_a_job_beside_the_lane_of_the_answer_that_it_stops() -> None:
    event = {"type": "agent_session_stopped", "channel": "C1", "user": "U1", "thread_ts": "1.1", "event_ts": "2.2"}
    job = job_of_event({"team_id": "T1", "event_id": "Ev1", "event": event})
    assert job == Stop("T1", "C1", "U1", "1.1", "Ev1")
    assert job.lane != "C1/1.1"


async def press_stop(town: Town, user: str, thread: str) -> None:
    await eventually(lambda: button(town, thread))
    await town.post("stop", user=user, channel=ASK, thread_ts=thread)


async def button(town: Town, thread: str) -> bool:
    return thread in await town.stoppable()


async def growing(town: Town, thread: str) -> Message | None:
    return next((m for m in await town.history(ADA) if m.get("thread_ts") == thread and m["streaming"]), None)
