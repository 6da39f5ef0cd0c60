"""`apprentice bench rollback`: from the wish to take an adapter out to the first answer of the one before it.

Everything is the product's own: model, engine, bot and local workspace run here, `apprentice rollback` in a process of
its own, as an operator types it. The button is the one of whoever is told that the glass was broken. People ask all the
while, each again as soon as the last answer is shown.
"""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any, Literal

from bot.bench.child import BenchError
from bot.bench.serving import TOPICS
from bot.local import APPROVER, ASKER, MEMBERS, QUESTIONS_CHANNEL
from bot.service import Service, running
from bot.slack.names import GLASS_UNDO_ACTION
from bot.workspace.model import Message
from bot.workspace.people import People
from bot.workspace.state import Workspace
from governance.gates import Metric
from learning.curation import Snapshot, write_snapshot
from learning.evaluation import REPORT_FILE, Report
from learning.serving_timing import RANK, make_adapters
from learning.training import child_environment
from storage.interactions import Interaction, list_interactions
from storage.people import person_id
from storage.proposals import Proposal
from storage.settings import GovernanceSettings, Settings
from storage.shadows import count_all_failures

Way = Literal["command", "button"]
WAYS: tuple[Way, ...] = ("command", "button")
NEW_TOKENS = 32
PATIENCE_S = 120.0
"""How long one thing is waited for; a question without an answer by then counts as failed."""
KEPT_S = 10.0
LOOK_S = 0.02
SPREAD_S = 0.2
"""Each round begins so much later after the answers before it than the last one, so that the bot's own clock, which
looks every second whether anything has changed, is met at different moments."""
REASON = "The benchmark takes it out again, to see how long that takes."
POLICY = f"""
name = "bench"
[gates.as_told]
at_least = 0.5
[approval]
approvers = ["*"]
[rollback]
automatic = false
[break_glass]
who = ["{ASKER.id}"]
tell = ["{APPROVER.id}"]
"""
FIGURES = ("done_s", "first_text_s", "next_answer_s", "last_of_taken_out_s")
SHOW = Callable[[str, int, int, str], None]


@dataclass
class Asked:
    """One question, and when (on the clock `time.monotonic`) the first text and the end of its answer were shown."""

    ts: str
    first_text: float | None = None
    shown: float | None = None


@dataclass
class Round:
    """One rollback: the adapter that was taken out, when that began and was done, and what was asked around it."""

    way: Way
    taken_out: str
    began: float = 0.0
    done: float = 0.0
    asked: list[Asked] = field(default_factory=list)


def measure(settings: Settings, folder: Path, rounds: int, at_once: int, show: SHOW) -> dict[str, Any]:
    """Roll back so many times in each way, while so many questions are answered at once.

    Args:
        settings: whose model and hardware are used; nothing else of it is.
        folder: where the installation that is measured lies.
        rounds: rollbacks in each way.
        at_once: questions that are answered at any time.
        show: hears of progress.

    Returns:
        Of `command` and `button`, from its start, in seconds, each as `min`, `median` and `max`: `done_s` until the
        command had ended, or the click was acknowledged; `first_text_s` until the first words were shown that the
        adapter before it had begun; `next_answer_s` until the first whole answer of it was; `last_of_taken_out_s` until
        the last answer that the one taken out had begun was (0 where none was under way). `asked` counts the questions,
        `failed` those that got no answer by either adapter, `failed_attempts` the times that an adapter failed at one.

    Raises:
        BenchError: the command failed, an adapter did not go live, or the one before it never answered.

    """
    return asyncio.run(_measure(_installation(settings, folder), folder, rounds, at_once, show))


def _installation(settings: Settings, folder: Path) -> Settings:
    policy = folder / "policy.toml"
    policy.write_text(POLICY, encoding="utf-8")
    apart = settings.apart(folder / "data")
    inference = apart.inference.model_copy(update={"max_new_tokens": NEW_TOKENS})
    return apart.model_copy(update={"inference": inference, "governance": GovernanceSettings(policy=str(policy))})


async def _measure(settings: Settings, folder: Path, rounds: int, at_once: int, show: SHOW) -> dict[str, Any]:
    ways = [way for _ in range(rounds) for way in WAYS]
    async with running(settings) as service:
        show("rollbacks", 0, len(ways), "making adapters")
        digests = await asyncio.to_thread(_adapters, service, folder, len(ways) + 1)
        bench = Bench(service, settings, at_once)
        await bench.meet()
        await bench.go_live(digests[0])
        done = []
        for number, (way, digest) in enumerate(zip(ways, digests[1:], strict=True)):
            show("rollbacks", number, len(ways), way)
            done.append(await bench.round(way, digest, SPREAD_S * number))
        show("rollbacks", len(ways), len(ways), "")
        asked = [each for one in done for each in one.asked]
        answers = await _kept(service, {each.ts for each in asked if each.shown is not None})
        failures = await asyncio.to_thread(_failures, service)
    timed: dict[str, Any] = {
        way: _summary([_figures(each, answers, digests[0]) for each in done if each.way == way]) for way in WAYS
    }
    known = {ts for ts, answer in answers.items() if answer.adapter_digest in digests}
    return {
        "model": settings.model.base,
        "rank": RANK,
        "new_tokens": NEW_TOKENS,
        "at_once": at_once,
        "rounds": rounds,
        **timed,
        "asked": len(asked),
        "failed": sum(each.shown is None or each.ts not in known for each in asked),
        "failed_attempts": failures,
    }


def _adapters(service: Service, folder: Path, count: int) -> list[str]:
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


class Bench:
    """A running installation, those who ask in it, and the two ways to take an adapter out."""

    def __init__(self, service: Service, settings: Settings, at_once: int) -> None:
        assert service.workspace is not None
        assert service.people is not None
        self._service = service
        self._workspace: Workspace = service.workspace
        self._people: People = service.people
        self._settings = settings
        self._at_once = at_once
        self._questions = _questions()

    async def meet(self) -> None:
        """Let everybody ask once, so that the bot knows them and its model is warm."""
        for asked in await asyncio.gather(*(self._ask(member.id) for member in MEMBERS)):
            if asked.shown is None:
                raise BenchError(f"no answer came within {PATIENCE_S:.0f} s. Is the machine busy?")

    async def go_live(self, digest: str) -> None:
        """Have an adapter proposed and approved, and wait until it answers."""
        proposal = await asyncio.to_thread(self._propose, digest)
        governance = self._service.parts.governance
        await asyncio.to_thread(governance.decide, proposal.id, self._person(APPROVER.id), "approve")
        await self._until_serving(digest)

    async def round(self, way: Way, digest: str, wait_s: float) -> Round:
        """Put an adapter live, let people ask, take it out again, and go on until the one before it has answered all.

        The rollback begins `wait_s` after everybody has got an answer of the adapter.
        """
        one = Round(way, digest)
        before = self._service.engine.serving
        message = await self._break_glass(digest) if way == "button" else None
        if message is None:
            await self.go_live(digest)
        async with self._asking(one) as warm:
            await warm.wait()
            await asyncio.sleep(wait_s)
            one.began = time.monotonic()
            await (self._command() if message is None else self._click(message))
            one.done = time.monotonic()
            await self._until_serving(before)
        return one

    @asynccontextmanager
    async def _asking(self, one: Round) -> AsyncIterator[asyncio.Event]:
        """Have questions asked while the block runs, and for one whole answer more; tells when each had an answer."""
        warm, over, answered = asyncio.Event(), asyncio.Event(), set[int]()

        async def ask(place: int) -> None:
            while True:
                last = over.is_set()
                one.asked.append(asked := Asked(""))
                await self._ask(MEMBERS[place % len(MEMBERS)].id, asked)
                answered.add(place)
                if len(answered) == self._at_once:
                    warm.set()
                if last:
                    return

        people = [asyncio.create_task(ask(place)) for place in range(self._at_once)]
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

    async def _break_glass(self, digest: str) -> Message:
        """Take an adapter live without its quorum; return the message with the button that takes it out again."""
        proposal = await asyncio.to_thread(self._propose, digest)
        rules = self._service.parts.governance
        glass, _ = await asyncio.to_thread(rules.break_glass, proposal.id, self._person(ASKER.id), REASON)
        await self._until_serving(digest)
        return await self._people.wait_for(lambda: self._with_button(glass.id), PATIENCE_S)

    def _propose(self, digest: str) -> Proposal:
        return self._service.parts.governance.propose(digest, {})

    def _with_button(self, glass_id: str) -> Message | None:
        everywhere = (each for channel in self._workspace.channels for each in self._workspace.messages(channel))
        wanted = (GLASS_UNDO_ACTION, glass_id)
        return next((each for each in everywhere if all(name in str(each.blocks) for name in wanted)), None)

    async def _click(self, message: Message) -> None:
        await self._people.click(APPROVER.id, message.channel, message.ts, GLASS_UNDO_ACTION)

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

    async def _until_serving(self, digest: str | None) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self._service.engine.serving != digest:
            if time.monotonic() > deadline:
                raise BenchError(f"{digest} does not answer within {PATIENCE_S:.0f} s. Is the machine busy?")
            await asyncio.sleep(LOOK_S)

    def _person(self, user: str) -> str:
        return person_id(self._workspace.team_id, user)


def _questions() -> Iterator[str]:
    """Give questions of which no two are the same."""
    number = 0
    while True:
        yield f"Write a long story about {TOPICS[number % len(TOPICS)]}, number {number}."
        number += 1


async def _kept(service: Service, wanted: AbstractSet[str]) -> dict[str, Interaction]:
    """Return what was answered, by the question's ts; an answer is kept a moment after its end is shown."""
    deadline = time.monotonic() + KEPT_S
    while True:
        answers = {row.question_ts: row for row in await asyncio.to_thread(_answers, service)}
        if wanted <= answers.keys() or time.monotonic() > deadline:
            return answers
        await asyncio.sleep(LOOK_S)


def _answers(service: Service) -> list[Interaction]:
    with service.parts.database.read() as session:
        return list_interactions(session)


def _failures(service: Service) -> int:
    """Count the times that an adapter, or the base model, failed at a question."""
    with service.parts.database.read() as session:
        return count_all_failures(session)


def _figures(one: Round, answers: Mapping[str, Interaction], before: str) -> dict[str, float]:
    """Say when, after the wish, what was shown.

    Raises:
        BenchError: the adapter that served before gave no answer.

    """

    def by(digest: str) -> list[Asked]:
        given = (each for each in one.asked if each.ts in answers and answers[each.ts].adapter_digest == digest)
        return [each for each in given if each.shown is not None and each.shown > one.began]

    after = by(before)
    if not after:
        raise BenchError("the adapter that had served before gave no answer after the rollback.")
    return {
        "done_s": one.done - one.began,
        "first_text_s": min(each.first_text for each in after if each.first_text is not None) - one.began,
        "next_answer_s": min(each.shown for each in after if each.shown is not None) - one.began,
        "last_of_taken_out_s": max([each.shown - one.began for each in by(one.taken_out) if each.shown], default=0.0),
    }


def _summary(rounds: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {name: _spread([each[name] for each in rounds]) for name in FIGURES}


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Give the least, the middle and the largest, in hundredths of seconds."""
    found = {"min": min(values), "median": statistics.median(values), "max": max(values)}
    return {name: round(value, 2) for name, value in found.items()}
