"""An installation in which people ask all the while, and the two ways to take an adapter out of it.

Model, engine, bot and local workspace run in this process, as in the demo; `apprentice rollback` in one of its own.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Literal

from bot.bench.child import BenchError
from bot.bench.serving import TOPICS
from bot.local import APPROVALS_CHANNEL, APPROVER, MEMBERS, QUESTIONS_CHANNEL
from bot.service import Service
from bot.slack import names
from bot.workspace.model import Json, Message
from bot.workspace.people import People
from bot.workspace.state import Workspace
from governance.gates import Metric
from learning.curation import Snapshot, write_snapshot
from learning.evaluation import REPORT_FILE, Report
from learning.serving_timing import make_adapters
from learning.training import child_environment
from storage.people import person_id
from storage.proposals import Proposal
from storage.settings import GovernanceSettings, Settings

Way = Literal["command", "button"]
NEW_TOKENS = 32
PATIENCE_S = 300.0
"""How long one thing is waited for; a question without an answer by then counts as failed."""
LOOK_S = 0.02
REASON = "The benchmark takes it out again, to see how long that takes."
POLICY = """
name = "bench"
[gates.as_told]
at_least = 0.5
[approval]
approvers = ["*"]
[rollback]
automatic = false
"""


@dataclass
class Asked:
    """One question, and when (on the clock `time.monotonic`) the first text and the end of its answer were shown."""

    ts: str
    first_text: float | None = None
    shown: float | None = None


@dataclass
class Round:
    """One rollback: the adapter that was taken out, when that began, was done and in force, and what was asked then."""

    way: Way
    taken_out: str
    began: float = 0.0
    done: float = 0.0
    in_force: float = 0.0
    asked: list[Asked] = field(default_factory=list)


def settings_apart(settings: Settings, folder: Path) -> Settings:
    """Return the settings of an installation in `folder`, in whose policy everybody approves and rolls back."""
    policy = folder / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")
    apart = settings.apart(folder / "data")
    inference = apart.inference.model_copy(update={"max_new_tokens": NEW_TOKENS})
    return apart.model_copy(update={"inference": inference, "governance": GovernanceSettings(policy=str(policy))})


def publish_adapters(service: Service, folder: Path, count: int) -> list[str]:
    """Make adapters with random weights, and publish and register them as a training run would."""
    parts, base = service.parts, service.base
    empty = parts.store.publish(lambda place: write_snapshot(Snapshot((), (), {}), place))
    metrics = {"as_told": Metric(1.0, 20, 0.84, 1.0)}
    said = Report(snapshot_digest=empty, metrics=metrics, before={}, tests=(), changes=(), answers=())
    report = parts.store.publish(lambda place: (place / REPORT_FILE).write_text(said.model_dump_json()))
    digests = []
    for made in make_adapters(base, folder / "adapters", count):
        digest = parts.store.publish(partial(copytree, made, dirs_exist_ok=True))
        run = parts.governance.queue_run(started_by="bench", recipe="random", base_digest=base.digest)
        parts.governance.start_run(run.id, empty, 0, {})
        parts.governance.finish_run(run.id, "succeeded")
        parts.governance.register_adapter(run.id, digest, base.digest, None, empty)
        parts.governance.record_evaluation(digest, report, metrics)
        digests.append(digest)
    return digests


class Installation:
    """A running one, with those who ask in it."""

    def __init__(self, service: Service, settings: Settings, people: int) -> None:
        assert service.workspace is not None
        assert service.people is not None
        self._service = service
        self._workspace: Workspace = service.workspace
        self._people: People = service.people
        self._settings = settings
        self._askers = people
        self._random = random.Random(people)  # noqa: S311 - pauses, not secrets
        self._questions = _questions()

    async def meet(self) -> None:
        """Let everybody ask once, so that the bot knows them and its model is warm."""
        for asked in await asyncio.gather(*(self._ask(member.id) for member in MEMBERS)):
            if asked.shown is None:
                raise BenchError(f"no answer came within {PATIENCE_S:.0f} s. Is the machine busy?")

    async def go_live(self, digest: str) -> Message:
        """Have an adapter proposed and approved, wait until it answers, and return the message that asked for it."""
        governance = self._service.parts.governance
        proposal = await asyncio.to_thread(governance.propose, digest, {})
        await self._people.wait_for(lambda: self._with_button(names.APPROVE_ACTION, proposal), PATIENCE_S)
        await asyncio.to_thread(governance.decide, proposal.id, self._person(APPROVER.id), "approve")
        await self._until_serving(digest)
        return await self._people.wait_for(lambda: self._with_button(names.ROLL_BACK_ACTION, proposal), PATIENCE_S)

    async def round(self, way: Way, digest: str) -> Round:
        """Put an adapter live, let people ask, take it out again, and go on until the one before it has answered all.

        The rollback begins when everybody has got an answer of the adapter.
        """
        one = Round(way, digest)
        before = self._service.engine.serving
        message = await self.go_live(digest)
        async with self._asking(one) as warm:
            await self._until(warm)
            one.began = time.monotonic()
            one.in_force, one.done = await asyncio.gather(
                self._until_serving(before), self._timed(self._command() if way == "command" else self._press(message))
            )
        return one

    async def _timed(self, work: Awaitable[None]) -> float:
        await work
        return time.monotonic()

    @asynccontextmanager
    async def _asking(self, one: Round) -> AsyncIterator[asyncio.Event]:
        """Have questions asked while the block runs, and for one whole answer more; tells when each had an answer.

        Before the next question each waits for up to as long as their last answer took, so that not all ask at once.
        """
        warm, over, answered = asyncio.Event(), asyncio.Event(), set[int]()

        async def ask(place: int) -> None:
            while True:
                last = over.is_set()
                one.asked.append(asked := Asked(""))
                began = time.monotonic()
                await self._ask(MEMBERS[place % len(MEMBERS)].id, asked)
                took = time.monotonic() - began
                answered.add(place)
                if len(answered) == self._askers:
                    warm.set()
                if last:
                    return
                await asyncio.sleep(self._random.uniform(0.0, took))

        people = [asyncio.create_task(ask(place)) for place in range(self._askers)]
        try:
            yield warm
        finally:
            over.set()
            await asyncio.gather(*people)

    async def _ask(self, user: str, asked: Asked | None = None) -> Asked:
        """Mention the bot, and note when the first text and the end of what it replies are shown."""
        asked = asked or Asked("")
        text = f"<@{self._workspace.bot_user}> {next(self._questions)}"
        asked.ts = await self._people.send(user, QUESTIONS_CHANNEL, text)
        try:
            await self._people.wait_for(lambda: self._reply(asked.ts, begun=True), PATIENCE_S)
            asked.first_text = time.monotonic()
            await self._people.wait_for(lambda: self._reply(asked.ts, begun=False), PATIENCE_S)
            asked.shown = time.monotonic()
        except TimeoutError:
            pass  # it counts as failed
        return asked

    def _reply(self, ts: str, *, begun: bool) -> Message | None:
        replies = self._workspace.messages(QUESTIONS_CHANNEL, thread_ts=ts)
        mine = (each for each in replies if each.user == self._workspace.bot_user and each.text)
        return next((each for each in mine if begun or not each.streaming), None)

    def _with_button(self, action: str, proposal: Proposal) -> Message | None:
        posted = self._workspace.messages(APPROVALS_CHANNEL)
        return next((each for each in posted if all(name in str(each.blocks) for name in (action, proposal.id))), None)

    async def _press(self, message: Message) -> None:
        """Press the button of a proposal, and send the form that it opens."""
        await self._people.click(APPROVER.id, message.channel, message.ts, names.ROLL_BACK_ACTION)
        view = await self._people.wait_for(self._form, PATIENCE_S)
        why = {names.REASON_BLOCK: {names.INPUT_ACTION: REASON}}
        if errors := await self._people.submit(APPROVER.id, view["id"], why):
            raise BenchError(f"the form of the rollback was not taken in: {errors}")

    def _form(self) -> Json | None:
        views = self._workspace.open_views(APPROVER.id)
        return next((each for each in views if each["callback_id"] == names.ROLLBACK_VIEW), None)

    async def _command(self) -> None:
        """Run `apprentice rollback` as an operator does, in a process of its own."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "rollback", "--reason", REASON,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env=self._environment(), cwd=self._settings.data_folder,
        )  # fmt: skip
        said, _ = await child.communicate()
        if child.returncode:
            raise BenchError(f"`apprentice rollback` ended with code {child.returncode}: {said.decode()}")

    def _environment(self) -> dict[str, str]:
        """Name this installation to the command, and nothing of the configured one."""
        others = {name: value for name, value in os.environ.items() if not name.upper().startswith("APPRENTICE_")}
        own = {"DATA_FOLDER": str(self._settings.data_folder), "GOVERNANCE__POLICY": self._settings.governance.policy}
        return child_environment({**others, **{f"APPRENTICE_{name}": value for name, value in own.items()}})

    async def _until(self, warm: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(warm.wait(), 3 * PATIENCE_S)
        except TimeoutError as error:
            raise BenchError("not everybody who asks got an answer. Is the machine busy?") from error

    async def _until_serving(self, digest: str | None) -> float:
        """Wait until this adapter answers every new question; return when that was."""
        deadline = time.monotonic() + PATIENCE_S
        while self._service.engine.serving != digest:
            if time.monotonic() > deadline:
                raise BenchError(f"{digest} does not answer within {PATIENCE_S:.0f} s. Is the machine busy?")
            await asyncio.sleep(LOOK_S)
        return time.monotonic()

    def _person(self, user: str) -> str:
        return person_id(self._workspace.team_id, user)


def _questions() -> Iterator[str]:
    """Give questions of which no two are the same."""
    number = 0
    while True:
        yield f"Write a long story about {TOPICS[number % len(TOPICS)]}, number {number}."
        number += 1
