"""The way into the inbox: many jobs in one commit, each told only when it is there."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import URL, event
from sqlalchemy.exc import DataError

from bot.slack.intake import store_job
from bot.slack.jobs import Question
from bot.slack.parts import SlackParts
from storage.database import Database
from storage.inbox import list_events
from tests.databases import copied


def question(text: str) -> Question:
    return Question("T", "C", "U", text, ts=text, thread_ts=text, direct=False)


def stored(parts: SlackParts) -> list[str]:
    with parts.database.read() as session:
        return [row.payload["text"] for row in list_events(session)]


def begin(parts: SlackParts, *texts: str) -> list["asyncio.Task[None]"]:
    return [asyncio.create_task(store_job(parts, question(text))) for text in texts]


@contextmanager
def written_by_another(database: Database) -> Iterator[None]:
    """Hold SQLite's write lock, so that whoever stores has to wait."""
    with database.engine.connect() as connection:
        connection.execution_options(apprentice_begin="BEGIN IMMEDIATE").begin()
        yield
        connection.rollback()


async def test_jobs_that_come_together_are_stored_in_one_commit_in_their_order(parts: SlackParts) -> None:
    commits: list[object] = []
    event.listen(parts.database.engine, "commit", commits.append)
    async with parts.storing:
        tasks = begin(parts, "a", "b", "a", "c")
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)

    assert stored(parts) == ["a", "b", "c"]
    assert len(commits) == 1
    assert parts.arrived.is_set()


async def test_a_job_is_told_to_be_stored_only_after_the_commit(parts: SlackParts) -> None:
    with written_by_another(parts.database):
        (task,) = begin(parts, "a")
        done, _ = await asyncio.wait({task}, timeout=0.3)
        assert not done
        assert stored(parts) == []
    await task
    assert stored(parts) == ["a"]


async def test_whoever_stores_for_others_may_be_stopped_on_the_way(parts: SlackParts) -> None:
    with written_by_another(parts.database):
        first, second = begin(parts, "a", "b")
        await asyncio.sleep(0)  # the first one is at it, the second waits for its turn
        first.cancel()
        await asyncio.wait({first})
    await second
    await store_job(parts, question("c"))
    assert sorted(stored(parts)) == ["a", "b", "c"]
    assert parts.arriving == []


class TestPostgres:
    @pytest.fixture
    def sqlite_database(self, postgres: tuple[URL, str]) -> Iterator[Database]:
        server, template = postgres
        with copied(server, template) as fresh:
            yield fresh

    async def test_a_job_that_the_database_does_not_take_keeps_no_other_out(self, parts: SlackParts) -> None:
        async with parts.storing:
            tasks = begin(parts, "a", "no\x00text", "b")
            await asyncio.sleep(0)
        first, refused, last = await asyncio.gather(*tasks, return_exceptions=True)

        assert (first, last) == (None, None)
        assert isinstance(refused, DataError)
        assert stored(parts) == ["a", "b"]
