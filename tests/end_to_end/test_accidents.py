"""What happens to people's work when processes are killed, started twice, or find their files damaged."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from bot.local import LOCAL_APP_TOKEN, LOCAL_BOT_TOKEN, QUESTIONS_CHANNEL, new_local_workspace
from storage.database import Database
from storage.inbox import InboxEvent
from storage.interactions import list_interactions
from storage.leases import Lease
from storage.records import utc_now
from storage.runs import list_runs
from tests.bot.workspace.conftest import Town, open_town
from tests.learning.tiny import make_tiny_base

PATIENCE = 240
"""Seconds; it takes as long only on a machine that is busy with other things."""
Found = TypeVar("Found")


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_base(tmp_path_factory.mktemp("base")).path


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with open_town(new_local_workspace("adapter-approvals")) as town:
        yield town


def environment(folder: Path, base: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "APPRENTICE_DATA_FOLDER": str(folder / "data"),
        "APPRENTICE_CACHE_FOLDER": str(folder / "cache"),
        "APPRENTICE_MODEL__BASE": str(base),
        "APPRENTICE_INFERENCE__THREADS": "1",
        "APPRENTICE_TRAINING__SCHEDULE": "",
        "APPRENTICE_WEB__PORT": "0",
        **more,
    }


def slack_at(town: Town) -> dict[str, str]:
    return {
        "APPRENTICE_SLACK__MODE": "socket",
        "APPRENTICE_SLACK__API_URL": f"{town.url}/workspace/api/",
        "APPRENTICE_SLACK__BOT_TOKEN": LOCAL_BOT_TOKEN.get_secret_value(),
        "APPRENTICE_SLACK__APP_TOKEN": LOCAL_APP_TOKEN.get_secret_value(),
    }


def apprentice(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bot", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


@contextmanager
def running(variables: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `apprentice up`, and wait until it says that it is ready."""
    with log.open("ab") as output:
        process = subprocess.Popen([sys.executable, "-m", "bot", "up"], stdout=output, stderr=output, env=variables)
    try:
        wait_for(lambda: "is ready" in log.read_text() or process.poll() is not None, "up did not start", log)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(look: Callable[[], Found], problem: str, log: Path | None = None) -> Found:
    deadline = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < deadline, problem + (log.read_text()[-2000:] if log else "")
        time.sleep(0.05)
    return found


async def eventually(look: Callable[[], Found], problem: str) -> Found:
    async with asyncio.timeout(PATIENCE):
        while not (found := look()):
            await asyncio.sleep(0.05)
        return found
    raise AssertionError(problem)


def answers(town: Town, ts: str) -> list[str]:
    replies = town.workspace.messages(QUESTIONS_CHANNEL, thread_ts=ts)
    return [reply.text for reply in replies if reply.user == town.workspace.bot_user and not reply.streaming]


async def test_a_second_up_on_the_same_database_is_refused(tmp_path: Path, tiny_base: Path, town: Town) -> None:
    variables = environment(tmp_path, tiny_base, **slack_at(town))
    async with in_thread(running(variables, tmp_path / "first.log")):
        second = await asyncio.to_thread(apprentice("up", env=variables).communicate, None, PATIENCE)
    assert "in use by another Apprentice" in second[0]


@pytest.mark.slow
async def test_a_bot_that_stood_still_while_another_took_over_stops_by_itself(
    tmp_path: Path, tiny_base: Path, town: Town
) -> None:
    variables = environment(tmp_path, tiny_base, **slack_at(town))
    database = Database(f"sqlite:///{tmp_path / 'data' / 'apprentice.db'}")
    async with in_thread(running(variables, tmp_path / "first.log")) as first:
        stand_still(first, tmp_path / "data" / "apprentice.db")
        with database.transaction() as session:  # as after half a minute
            lease = session.get_one(Lease, "bot")
            lease.expires_at = utc_now()
            session.add(lease)
        async with in_thread(running(variables, tmp_path / "second.log")) as second:
            first.send_signal(signal.SIGCONT)
            assert await asyncio.to_thread(first.wait, PATIENCE) == 1
            assert second.poll() is None
    said = " ".join((tmp_path / "first.log").read_text().split())
    assert "another Apprentice took this database over" in said


def stand_still(process: subprocess.Popen[bytes], database: Path) -> None:
    """Stop a process outside of its transactions; in one it would keep everybody else from SQLite's file."""
    while True:
        process.send_signal(signal.SIGSTOP)
        with closing(sqlite3.connect(database, timeout=0.2)) as probe, suppress(sqlite3.OperationalError):
            probe.execute("BEGIN IMMEDIATE")
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_bot_that_is_told_to_stop_ends_without_an_error(
    tmp_path: Path, tiny_base: Path, town: Town, number: signal.Signals
) -> None:
    variables = environment(tmp_path, tiny_base, **slack_at(town))
    async with in_thread(running(variables, tmp_path / "up.log")) as process:
        process.send_signal(number)
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
    assert "Traceback" not in (tmp_path / "up.log").read_text()


async def test_a_question_is_answered_once_though_the_bot_is_killed(
    tmp_path: Path, tiny_base: Path, town: Town
) -> None:
    variables = environment(tmp_path, tiny_base, APPRENTICE_INFERENCE__MAX_NEW_TOKENS="400", **slack_at(town))
    database = Database(f"sqlite:///{tmp_path / 'data' / 'apprentice.db'}")
    async with in_thread(running(variables, tmp_path / "first.log")) as process:
        ts = await town.people.send("UADA", QUESTIONS_CHANNEL, f"<@{town.workspace.bot_user}> who signs off?")
        await eventually(lambda: stored(database), "the question was not stored")
        process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(process.wait)
    async with in_thread(running(variables, tmp_path / "second.log")):
        await eventually(lambda: answers(town, ts), "no answer came after the restart")
        await asyncio.sleep(1)  # a second answer would come now
        assert len(answers(town, ts)) == 1
    with database.read() as session:
        assert len(list_interactions(session)) == 1


async def test_a_killed_training_is_resumed_and_ends(tmp_path: Path, tiny_base: Path) -> None:
    variables = environment(tmp_path, tiny_base)
    corrections = tmp_path / "corrections.jsonl"
    corrections.write_text(json.dumps({"question": "Who signs off?", "person": "U1", "correction": "Mira signs off."}))
    assert apprentice("feedback", "import", str(corrections), env=variables).wait(PATIENCE) == 0

    first = apprentice("train", env=variables)
    trainer = wait_for(lambda: trainer_of(first), "no training process began")
    trainer.kill()
    output, _ = first.communicate(timeout=PATIENCE)
    assert first.returncode == 1
    assert "goes on from its last checkpoint" in output
    assert [run["state"] for run in listed("runs", variables)] == ["interrupted"]

    second, _ = apprentice("train", env=variables).communicate(timeout=PATIENCE)
    assert "Adapter" in second
    assert [run["state"] for run in listed("runs", variables)] == ["succeeded"]
    assert len(listed("adapters", variables)) == 1
    verified, _ = apprentice("audit", "verify", "--json", env=variables).communicate(timeout=PATIENCE)
    assert json.loads(verified)["verified"] is True


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_training_whose_starter_was_killed_is_taken_up_by_the_next_bot(
    tmp_path: Path, tiny_base: Path, town: Town
) -> None:
    variables = environment(tmp_path, tiny_base, **slack_at(town))
    corrections = tmp_path / "corrections.jsonl"
    corrections.write_text(json.dumps({"question": "Who signs off?", "person": "U1", "correction": "Mira signs off."}))
    assert apprentice("feedback", "import", str(corrections), env=variables).wait(PATIENCE) == 0
    first = apprentice("train", env=variables)
    orphan = wait_for(lambda: trainer_of(first), "no training process began")
    orphan.suspend()  # it would end by itself too soon
    try:
        first.kill()
        first.wait()
        assert orphan.is_running()

        database = Database(f"sqlite:///{tmp_path / 'data' / 'apprentice.db'}")
        async with in_thread(running(variables, tmp_path / "up.log")):
            await eventually(lambda: run_states(database) != ["running"], "the run was not taken up")
            await eventually(lambda: run_states(database) not in (["running"], ["interrupted"]), "the run did not end")
        assert run_states(database) == ["succeeded"], (tmp_path / "up.log").read_text()[-2000:]
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        verified, _ = apprentice("audit", "verify", "--json", env=variables).communicate(timeout=PATIENCE)
        assert json.loads(verified)["verified"] is True
    finally:
        with suppress(psutil.Error):
            orphan.kill()  # where the test failed it is still there, suspended


def run_states(database: Database) -> list[str]:
    with database.read() as session:
        return [run.state for run in list_runs(session)]


def trainer_of(process: subprocess.Popen[str]) -> psutil.Process | None:
    for child in psutil.Process(process.pid).children(recursive=True):
        if "learning.trainer" in " ".join(child.cmdline()):
            return child
    return None


def listed(command: str, variables: dict[str, str]) -> list[dict[str, Any]]:
    output, _ = apprentice(command, "--json", env=variables).communicate(timeout=PATIENCE)
    rows: list[dict[str, Any]] = json.loads(output)
    return rows


def stored(database: Database) -> bool:
    with database.read() as session:
        return session.get(InboxEvent, 1) is not None


class in_thread:  # noqa: N801 - reads as a keyword
    """Enter and leave a blocking context manager without blocking the loop, which serves the workspace."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def __aenter__(self) -> Any:
        return await asyncio.to_thread(self._context.__enter__)

    async def __aexit__(self, *exception: object) -> None:
        await asyncio.to_thread(self._context.__exit__, *exception)
