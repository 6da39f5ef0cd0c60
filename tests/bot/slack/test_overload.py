"""More questions than the engine, or one person, should have at a time."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.slack.jobs import Question, Refusal
from bot.slack.overload import Load, excess
from bot.slack.pace import Pace
from bot.slack.thinking import THINKING, queue_status
from storage.settings import SlackSettings
from tests.bot.slack.conftest import (
    ADA,
    ASK,
    MARCUS,
    PRIYA,
    Bot,
    Town,
    all_done,
    busy,
    eventually,
    interactions,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIMITS = SlackSettings(
    questions_per_person_per_minute=3, questions_per_channel_per_minute=4, waiting_questions_per_person=2
)


def ago(*seconds: float) -> list[datetime]:
    return [NOW - timedelta(seconds=each) for each in seconds]


@pytest.mark.parametrize(
    ("load", "again_in"),
    [
        (Load(), None),
        (Load(of_person=ago(50, 10), in_channel=ago(50, 10, 5), waiting=1), None),
        (Load(of_person=ago(50, 10, 1)), 10),
        (Load(of_person=ago(59, 50, 10, 1)), 10),
        (Load(of_person=ago(1), in_channel=ago(48, 30, 20, 1)), 12),
    ],
)
def test_a_question_more_waits_until_the_oldest_that_counts_is_a_minute_old(load: Load, again_in: int | None) -> None:
    over = excess(load, LIMITS, NOW)
    assert (over and (over.until - NOW).total_seconds()) == again_in
    assert over is None or f"Ask again in {again_in} seconds." in over.sentence


def test_who_has_enough_questions_waiting_is_told_to_wait_for_an_answer() -> None:
    over = excess(Load(waiting=2), LIMITS, NOW)
    assert over is not None
    assert over.sentence.startswith("2 of your questions still wait for their answers")


def test_a_limit_of_0_is_none() -> None:
    none = SlackSettings(
        questions_per_person_per_minute=0, questions_per_channel_per_minute=0, waiting_questions_per_person=0
    )
    assert excess(Load(ago(*range(50)), ago(*range(50)), 50), none, NOW) is None


@pytest.mark.parametrize(
    ("before", "status"),
    [
        (0, THINKING),
        (1, "is busy: 1 question is before yours…"),
        (3, "is busy: 3 questions are before yours…"),
    ],
)
def test_the_status_says_how_many_questions_come_first(before: int, status: str) -> None:
    assert queue_status(before) == status


class TestTheEngineIsBusy:
    @pytest.fixture
    def pace(self) -> Pace:
        return Pace(look=0.02, patience=0.0, refresh=0.2)

    async def test_each_person_who_waits_sees_how_many_come_first_and_all_are_answered(
        self, bot: Bot, town: Town
    ) -> None:
        async with town.watch(ADA):
            asked: list[str] = []
            with busy(bot.parts.engine):
                for place, (user, text) in enumerate([(ADA, "kite"), (PRIYA, "wind"), (MARCUS, "loom")]):
                    asked.append(await town.mention(user, text))
                    await eventually(lambda count=place + 1: so_many_wait(bot, count))
                    await eventually(shows(town, asked[place], queue_status(place)))
            for ts in asked:
                await town.answer(ts)
                await eventually(shows(town, ts, ""))
        await all_done(bot, 3)
        assert sorted(row.question for row in interactions(bot)) == ["kite", "loom", "wind"]

    async def test_a_place_in_the_queue_moves_up_when_somebody_stops_an_answer_before_it(
        self, bot: Bot, town: Town
    ) -> None:
        async with town.watch(ADA):
            with busy(bot.parts.engine):
                first = await town.mention(ADA, "kite")
                await eventually(lambda: so_many_wait(bot, 1))
                second = await town.mention(PRIYA, "wind")
                await eventually(shows(town, second, queue_status(1)))
                await town.post("stop", user=ADA, channel=ASK, thread_ts=first)
                await eventually(shows(town, second, THINKING, after=queue_status(1)))
            await town.answer(second)

    async def test_the_status_is_set_again_before_slack_clears_it_and_cleared_in_the_end(
        self, bot: Bot, town: Town
    ) -> None:
        async with town.watch(ADA):
            with busy(bot.parts.engine):
                asked = await town.mention(ADA, "kite")

                async def set_again() -> bool:
                    return town.statuses.count((asked, THINKING)) >= 3

                await eventually(set_again)
            await town.answer(asked)
            await all_done(bot, 1)
            await eventually(shows(town, asked, "", after=THINKING))


class TestOnePersonAsksTooMuch:
    @pytest.fixture
    def slack_settings(self, slack_settings: SlackSettings) -> SlackSettings:
        return slack_settings.model_copy(update={"questions_per_person_per_minute": 2})

    async def test_the_question_too_many_is_left_unanswered_and_its_asker_alone_is_told_once_when_to_ask_again(
        self, bot: Bot, town: Town
    ) -> None:
        for text in ("kite", "wind", "loom", "spool"):
            await town.mention(ADA, text)
        await town.answer(await town.mention(PRIYA, "knot"))

        jobs = await all_done(bot, 5)
        assert [job.kind for job in jobs].count(Refusal.kind) == 2
        assert sorted(row.question for row in interactions(bot)) == ["kite", "knot", "wind"]
        (told,) = await town.whispers(ADA)
        assert told.startswith("You asked 2 questions within a minute, so I leave this one")
        assert await town.whispers(PRIYA) == []

    async def test_a_restart_does_not_forget_what_was_asked(self, bot: Bot, town: Town) -> None:
        for text in ("kite", "wind"):
            await town.answer(await town.mention(ADA, text))
        await bot.stop_worker()
        bot.start_worker()

        await town.mention(ADA, "loom")

        assert [job.kind for job in await all_done(bot, 3)] == [Question.kind, Question.kind, Refusal.kind]
        assert len(await town.whispers(ADA)) == 1

    async def test_a_refused_question_is_not_answered_by_a_second_delivery(self, bot: Bot, town: Town) -> None:
        for text in ("kite", "wind"):
            await town.answer(await town.mention(ADA, text))
        await town.post("faults", redeliver_next=1)
        await town.mention(ADA, "loom")
        await town.answer(await town.mention(PRIYA, "knot"))

        assert len(await all_done(bot, 4)) == 4
        assert len(await town.whispers(ADA)) == 1

    async def test_what_is_asked_by_command_counts_and_other_commands_do_not(self, bot: Bot, town: Town) -> None:
        await town.answer(await town.mention(ADA, "kite"))
        for text in ("status", "ask wind", "ask loom", "status"):
            await town.command(ADA, text)

        await all_done(bot, 5)
        assert sorted(row.question for row in interactions(bot)) == ["kite", "wind"]
        told = await town.whispers(ADA)
        assert sum("You asked 2 questions within a minute" in each for each in told) == 1
        assert sum("Answering now" in each for each in told) == 2


class TestAChannelAsksTooMuch:
    @pytest.fixture
    def slack_settings(self, slack_settings: SlackSettings) -> SlackSettings:
        return slack_settings.model_copy(update={"questions_per_channel_per_minute": 1})

    async def test_the_limit_holds_for_all_in_the_channel_and_not_elsewhere(self, bot: Bot, town: Town) -> None:
        await town.answer(await town.mention(ADA, "kite"))
        await town.mention(PRIYA, "wind")
        elsewhere = await town.dm(PRIYA)
        await town.answer(await town.send(PRIYA, "wind", elsewhere), elsewhere, PRIYA)

        await all_done(bot, 3)
        (told,) = await town.whispers(PRIYA)
        assert "in this channel" in told
        assert await town.whispers(ADA) == []


class TestOnePersonsQuestionsPileUp:
    @pytest.fixture
    def slack_settings(self, slack_settings: SlackSettings) -> SlackSettings:
        return slack_settings.model_copy(update={"waiting_questions_per_person": 2})

    async def test_a_third_is_refused_while_two_wait_and_taken_once_they_are_answered(
        self, bot: Bot, town: Town
    ) -> None:
        with busy(bot.parts.engine):
            for text in ("kite", "wind", "loom"):
                await town.mention(ADA, text)
            await eventually(lambda: town.whispers(ADA))
        await all_done(bot, 3)
        await town.answer(await town.mention(ADA, "loom"))

        await all_done(bot, 4)
        assert sorted(row.question for row in interactions(bot)) == ["kite", "loom", "wind"]


async def so_many_wait(bot: Bot, count: int) -> bool:
    return bot.parts.running.waiting() == count


def shows(town: Town, thread: str, status: str, after: str | None = None):  # noqa: ANN201 - a look for `eventually`
    """Make a look that finds a status in a thread, set after another one if that is named."""

    async def look() -> bool:
        seen = [text for ts, text in town.statuses if ts == thread]
        start = seen.index(after) + 1 if after in seen else 0
        return status in seen[start:] and (after is None or after in seen)

    return look
