import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import URL

from bot.slack import worker
from bot.slack.app import SlackParts
from bot.slack.socket import connected, make_client
from storage import inbox
from storage.database import Database
from storage.errors import ConfigurationError
from storage.settings import SlackSettings
from tests.bot.slack.conftest import (
    ADA,
    PRIYA,
    Bot,
    Town,
    all_done,
    both_transports,
    busy,
    eventually,
    interactions,
    jobs_in,
)
from tests.bot.slack.saying import asked_and_answered, press_vote
from tests.databases import copied


@both_transports
async def test_an_event_is_stored_before_it_is_acknowledged(connected_bot: Bot, town: Town) -> None:
    await town.mention(ADA, "kite")

    (waiting,) = await eventually(lambda: asyncio.to_thread(jobs_in, connected_bot, "received"))
    assert waiting.kind == "question"
    assert "token" not in waiting.payload


@both_transports
async def test_a_redelivered_event_is_answered_once(bot: Bot, town: Town) -> None:
    await town.post("faults", redeliver_next=1)
    asked = await town.mention(ADA, "kite")
    await town.answer(asked)
    after = await town.mention(PRIYA, "wind")
    await town.answer(after)

    await all_done(bot, 2)
    assert len(await town.answers(asked)) == 1
    assert len(interactions(bot)) == 2


@both_transports
async def test_a_mention_that_fires_app_mention_and_message_is_answered_once(bot: Bot, town: Town) -> None:
    asked = await town.mention(ADA, "kite")
    await town.answer(asked)
    await town.answer(await town.mention(PRIYA, "wind"))

    assert [job.kind for job in await all_done(bot, 2)] == ["question", "question"]
    assert len(await town.answers(asked)) == 1


@both_transports
async def test_the_first_click_is_stored_though_slack_fails_at_whatever_it_is_asked(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    await bot.stop_worker()
    await town.post("faults", fail_next=100)

    await press_vote(town, PRIYA, answer, "positive")

    assert [job.kind for job in jobs_in(bot, "received")] == ["vote"]


@both_transports
async def test_what_a_killed_process_had_begun_to_answer_is_answered_once(bot: Bot, town: Town) -> None:
    await town.post("faults", delay_ms=100)  # so that the answer is in the making for a while
    asked = await town.mention(ADA, "kite wind")
    await eventually(lambda: begun(bot))

    await bot.stop_worker()
    assert interactions(bot) == []
    with bot.parts.database.transaction() as session:
        assert inbox.requeue_unfinished(session) == 1
    await town.post("faults", delay_ms=0)
    bot.start_worker()

    await all_done(bot, 1)
    (answer,) = await town.answers(asked)
    said = [m for m in await town.history(ADA) if m.get("thread_ts") == asked and m["user"] == town.bot]
    assert [message["ts"] for message in said] == [answer["ts"]]
    assert [kept.answer for kept in interactions(bot)] == [answer["text"].strip()]


async def begun(bot: Bot) -> bool:
    jobs = await asyncio.to_thread(jobs_in, bot, "handling")
    return any(job.payload["begun"] for job in jobs)


async def test_a_question_that_was_answered_is_not_answered_again_after_a_restart(bot: Bot, town: Town) -> None:
    asked = await town.mention(ADA, "kite")
    await town.answer(asked)
    (job,) = await all_done(bot, 1)
    with bot.parts.database.transaction() as session:  # the process died between keeping the answer and saying so
        job.state = "received"
        session.merge(job)
    bot.parts.arrived.set()

    await all_done(bot, 1)
    await town.answer(await town.mention(ADA, "wind"))
    assert len(await town.answers(asked)) == 1


async def test_rate_limits_are_waited_out(bot: Bot, town: Town) -> None:
    await town.post("faults", rate_limit_next=3, retry_after=1)

    answer = await town.answer(await town.mention(ADA, "kite"))

    (kept,) = await eventually(lambda: asyncio.to_thread(interactions, bot))
    assert kept.answer == answer["text"].strip()


async def test_when_the_engine_fails_the_asker_gets_a_plain_sentence_with_a_reference(bot: Bot, town: Town) -> None:
    bot.parts.engine.close()
    answer = await town.answer(await town.mention(ADA, "kite"))

    (job,) = await all_done(bot, 1)
    assert f"reference number {job.id}" in answer["text"]
    assert "engine" not in answer["text"]
    assert job.state == "failed"
    assert "engine is closed" in job.error
    assert interactions(bot) == []


@pytest.mark.parametrize("name", ["bot_token", "app_token"])
async def test_a_token_that_slack_refuses_is_named_and_not_repeated(
    parts: SlackParts, slack_settings: SlackSettings, name: str
) -> None:
    wrong = SecretStr({"bot_token": "xoxb-revoked", "app_token": "xapp-revoked"}[name])
    settings = slack_settings.model_copy(update={name: wrong})
    with pytest.raises(ConfigurationError, match=f"slack.{name}") as refusal:
        async with connected(parts, make_client(settings), settings):
            pass
    assert "revoked" not in str(refusal.value)


@both_transports
async def test_questions_of_a_thread_are_answered_in_the_order_in_which_they_came(
    connected_bot: Bot, town: Town
) -> None:
    first = await town.mention(ADA, "kite")
    for text in ("wind", "spool", "loom"):
        await town.mention(ADA, text, thread_ts=first)
    await eventually(lambda: four_wait(connected_bot))

    connected_bot.start_worker()
    await all_done(connected_bot, 4)

    assert [kept.question for kept in interactions(connected_bot)] == ["kite", "wind", "spool", "loom"]
    seen_by_the_model = [kept.usage["prompt_tokens"] for kept in interactions(connected_bot)]
    assert seen_by_the_model == sorted(set(seen_by_the_model)), "each question comes with the thread so far"


async def four_wait(bot: Bot) -> bool:
    return len(await asyncio.to_thread(jobs_in, bot, "received")) == 4


async def test_a_question_of_which_three_processes_died_is_given_up_and_its_asker_is_told(
    connected_bot: Bot, town: Town
) -> None:
    asked = await town.mention(ADA, "kite")
    await eventually(lambda: asyncio.to_thread(jobs_in, connected_bot, "received"))
    with connected_bot.parts.database.transaction() as session:
        (job,) = jobs_in(connected_bot)
        job.state, job.attempts = "handling", 3
        session.merge(job)
        session.flush()
        inbox.requeue_unfinished(session)
    connected_bot.start_worker()

    assert f"reference number {job.id}" in (await town.answer(asked))["text"]
    await town.answer(await town.mention(ADA, "wind"))
    assert [job.state for job in await all_done(connected_bot, 2)] == ["failed", "done"]


@pytest.mark.parametrize("kind", ["question", "unheard-of"])
async def test_an_event_of_another_version_is_given_up_and_holds_up_nothing(
    connected_bot: Bot, town: Town, kind: str
) -> None:
    asked = await town.mention(ADA, "kite")
    await eventually(lambda: asyncio.to_thread(jobs_in, connected_bot, "received"))
    with connected_bot.parts.database.transaction() as session:
        (job,) = jobs_in(connected_bot)
        job.kind, job.payload = kind, {"something": "new"}
        session.merge(job)
    await town.mention(PRIYA, "wind", thread_ts=asked)
    connected_bot.start_worker()

    assert [job.state for job in await all_done(connected_bot, 2)] == ["failed", "done"]
    assert len(await town.answers(asked)) == 1


async def test_many_questions_of_one_thread_do_not_hold_up_another(
    bot: Bot, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "AT_ONCE", 2)
    with busy(bot.parts.engine):
        first = await town.mention(ADA, "kite")
        for _ in range(4):
            await town.mention(ADA, "wind", thread_ts=first)
        asked = await town.mention(PRIYA, "loom")

        async def both_threads_are_served() -> bool:
            handling = await asyncio.to_thread(jobs_in, bot, "handling")
            return {job.payload["thread_ts"] for job in handling} == {first, asked}

        await eventually(both_threads_are_served)
    await town.answer(asked, user=PRIYA)


async def test_an_answer_whose_beginning_slack_never_confirmed_leaves_nothing_behind(bot: Bot, town: Town) -> None:
    await town.answer(await town.mention(ADA, "kite"))  # from now on the asker is known
    await all_done(bot, 1)
    await town.post("faults", drop_next=2)  # the status, and the first piece of the answer

    asked = await town.mention(ADA, "wind")

    await all_done(bot, 2)
    answer = await town.answer(asked)
    in_thread = [m for m in await town.history(ADA) if m.get("thread_ts") == asked and m["user"] == town.bot]
    assert [message["ts"] for message in in_thread] == [answer["ts"]]
    assert [kept.answer_ts for kept in interactions(bot)][-1] == answer["ts"]


async def test_an_answer_is_given_again_as_the_same_one_so_that_clicks_on_it_count(bot: Bot, town: Town) -> None:
    asked = await town.mention(ADA, "kite")
    kept = await town.answer(asked)
    await all_done(bot, 1)
    (before,) = interactions(bot)
    with bot.parts.database.transaction() as session:  # as if the process had died before it was kept
        session.delete(session.merge(before))
        (job,) = jobs_in(bot)
        job.state = "received"
        session.merge(job)
    bot.parts.arrived.set()

    await eventually(lambda: asyncio.to_thread(interactions, bot))
    (again,) = interactions(bot)
    assert again.id == before.id
    assert again.answer_ts != kept["ts"]
    assert [message["ts"] for message in await town.answers(asked)] == [again.answer_ts]


class TestTheDatabaseGoesAway:
    """PostgreSQL refuses connections for a while, as it does when it is restarted."""

    @pytest.fixture
    def sqlite_database(self, postgres: tuple[URL, str]) -> Iterator[Database]:
        server, template = postgres
        with copied(server, template) as fresh:
            yield fresh

    @both_transports
    async def test_what_was_being_answered_is_answered_once_it_is_back(
        self, bot: Bot, town: Town, postgres: tuple[URL, str]
    ) -> None:
        asked = [await town.mention(ADA, "kite")]
        await eventually(lambda: asyncio.to_thread(jobs_in, bot, "handling"))
        with away(postgres[0], bot.parts.database):
            asked.append(await town.mention(PRIYA, "wind"))
            await asyncio.sleep(1)  # long enough for what was begun to fail as often as it may

        for ts in asked:
            await town.answer(ts)
        assert [job.state for job in await all_done(bot, 2)] == ["done", "done"]
        assert [len(await town.answers(ts)) for ts in asked] == [1, 1]
        assert sorted(row.question for row in interactions(bot)) == ["kite", "wind"]


@contextmanager
def away(server: URL, database: Database) -> Iterator[None]:
    """Let the server refuse connections to one database, and end those that there are."""
    name = database.url.database
    url = server.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
