"""Whatever is lost, late, sent twice, refused or killed: each question has one answer, and each click counts once."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from sqlmodel import select

from bot.slack import names
from bot.slack.answering import HOW_TO_ASK
from bot.slack.recorded import VOTES
from bot.workspace.model import Message
from bot.workspace.people import ActionRefusedError
from learning.base_model import BaseModel
from learning.engine import Engine
from storage.feedback import Feedback
from storage.inbox import MAX_ATTEMPTS
from tests.bot.slack.conftest import ADA, ASK, MARCUS, PRIYA, find_element, interactions, jobs_in, owed
from tests.bot.slack.delivering import House, Stage
from tests.stateful import run_examples

PEOPLE = st.sampled_from([ADA, PRIYA, MARCUS])
QUESTIONS = st.sampled_from(["kite wind", "spool", "north east", ""])
MOMENTS = st.sampled_from([0.0, 0.0, 0.005, 0.02, 0.05, 0.1])
"""Seconds that the bot goes on before the next thing happens; an answer takes it about a tenth of one."""
FAULTS = st.sampled_from(["rate_limit_next", "fail_next", "drop_next", "redeliver_next", "refuse_ack_next"])
RARELY = st.sampled_from([False, False, False, True])
MOST_DROPS = 3
"""The double, as Slack, gives an event up that it could not deliver in four attempts."""
MOST_KILLS = MAX_ATTEMPTS - 1
"""The bot gives an event up when its process died at each attempt at it, which another test sees to."""
WORTH_SEEING = {
    "answer", "second try", "how to ask", "vote", "vote of which the person heard nothing", "reordered",
    "killed while answering", "killed while sending", "looked for",
}  # fmt: skip
"""Without these, that nothing was lost would say little."""
SEEN_SOON = {"answer", "second try", "how to ask", "vote"}
"""What even a few examples come upon."""
QUIET_S = 0.4


@dataclass(frozen=True)
class Click:
    """A click on a feedback button; `sure` when the person's page was told that it had arrived."""

    user: str
    answer_ts: str
    action_ts: str
    verdict: str
    sure: bool


class Delivery(RuleBasedStateMachine):
    """People ask and vote; meanwhile the network, Slack and the machine under the bot do what they do on bad days."""

    stage: ClassVar[Stage]
    happened: ClassVar[Counter[str]]

    @initialize()
    def open(self) -> None:
        self.house = House(self.stage)
        self.house.start()
        self.asked: dict[str, str] = {}
        self.clicks: list[Click] = []
        self.drops = self.kills = 0

    @rule(user=PEOPLE, text=QUESTIONS, follow_up=st.booleans(), then=MOMENTS)
    def ask(self, user: str, text: str, follow_up: bool, then: float) -> None:  # noqa: FBT001 - called by Hypothesis
        thread = next(iter(self.asked), None) if follow_up else None
        bot = self.house.workspace.bot_user
        ts = self.stage.do(self.house.people.send(user, ASK, f"<@{bot}> {text}", thread))
        self.asked[ts] = text
        self.stage.work(then)

    @rule(user=PEOPLE, verdict=st.sampled_from(["up", "down"]), place=st.integers(0, 3), is_lost=RARELY, then=MOMENTS)
    def vote(self, user: str, verdict: str, place: int, is_lost: bool, then: float) -> None:  # noqa: FBT001 - called by Hypothesis
        finished = [message for message in self.house.said() if message.blocks]
        if finished:
            self.house.workspace.faults.refuse_ack_next += is_lost
            self._click(user, finished[place % len(finished)], verdict)
        self.stage.work(then)

    def _click(self, user: str, answer: Message, verdict: str) -> None:
        block, element = find_element({"blocks": answer.blocks}, names.VOTE_ACTION)
        button = element["positive_button" if verdict == "up" else "negative_button"]
        action = {
            "block_id": block["block_id"], "action_id": names.VOTE_ACTION, "type": element["type"],
            "value": button["value"], "action_ts": self.house.workspace.next_ts(),
        }  # fmt: skip
        lets_go = answer.pressed.get(user, {}).get(names.VOTE_ACTION) == button["value"]
        try:
            self.stage.do(self.house.people.act(user, action, channel=ASK, ts=answer.ts))
            sure = not lets_go  # of a button that is let go Slack tells the app nothing
        except ActionRefusedError:
            sure = False
        self.clicks.append(Click(user, answer.ts, action["action_ts"], verdict, sure))

    @rule()
    def leave_it_alone(self) -> None:
        self.stage.work(QUIET_S)

    @rule(kind=FAULTS, count=st.integers(1, 3), then=MOMENTS)
    def break_something(self, kind: str, count: int, then: float) -> None:
        faults = self.house.workspace.faults
        faults.retry_after = 0
        setattr(faults, kind, getattr(faults, kind) + count)
        self.stage.work(then)

    @rule()
    def hold_events_back(self) -> None:
        if self.house.held is None:
            self.house.held = []

    @rule(order=st.randoms(use_true_random=False), then=MOMENTS)
    def deliver_what_was_held(self, order: Random, then: float) -> None:
        self.happened["reordered"] += len(self.house.held or []) > 1
        self.house.release(order)
        self.stage.work(then)

    @precondition(lambda self: self.drops < MOST_DROPS)
    @rule(then=MOMENTS)
    def drop_the_socket(self, then: float) -> None:
        self.drops += 1
        self.house.drop_sockets()
        self.stage.work(then)

    @precondition(lambda self: not self.house.bot_is_dead and self.kills < MOST_KILLS)
    @rule()
    def kill_the_bot(self) -> None:
        self.kills += 1
        self.house.kill()
        self.happened["killed while answering"] += any(
            job.payload.get("begun") for job in jobs_in(self.house.bot, "handling")
        )
        self.happened["killed while sending"] += any(call.state == "sending" for call in owed(self.house.bot))

    @precondition(lambda self: self.house.bot_is_dead)
    @rule(then=MOMENTS)
    def start_it_again(self, then: float) -> None:
        self.house.start()
        self.stage.work(then)

    def teardown(self) -> None:
        if not hasattr(self, "house"):
            return
        try:
            self.house.drain()
            self.check_answers()
            self.check_votes()
        finally:
            self.house.close()

    def check_answers(self) -> None:
        bot = self.house.bot
        assert {job.state for job in jobs_in(bot)} <= {"done"}
        assert {call.state for call in owed(bot)} <= {"sent"}
        questions = [ts for ts, text in self.asked.items() if text]
        kept = interactions(bot)
        assert sorted(row.question_ts for row in kept) == sorted(questions)
        said = self.house.said()
        assert not [message for message in said if message.streaming]
        answers = sorted((message.ts, message.text.strip()) for message in said if message.blocks)
        assert answers == sorted((row.answer_ts, row.answer) for row in kept)
        told = [message.text for message in said if not message.blocks]
        assert told == [HOW_TO_ASK] * (len(self.asked) - len(questions))
        self.happened["answer"] += len(answers)
        self.happened["how to ask"] += len(told)
        self.happened["second try"] += sum(job.kind == "question" and job.attempts > 1 for job in jobs_in(bot))
        self.happened["looked for"] += sum(call.attempts > 1 and bool(call.result) for call in owed(bot))

    def check_votes(self) -> None:
        arrived = [job.payload for job in jobs_in(self.house.bot) if job.kind == "vote"]
        seen = {payload["action_ts"] for payload in arrived}
        assert {click.action_ts for click in self.clicks if click.sure} <= seen
        counted = [click for click in self.clicks if click.action_ts in seen]
        with self.house.bot.parts.database.read() as session:
            rows = session.exec(select(Feedback).order_by(Feedback.created_at, Feedback.id)).all()  # type: ignore[arg-type]
        assert Counter((row.person_id.rpartition("/")[2], row.kind) for row in rows) == Counter(
            (click.user, click.verdict) for click in counted
        )
        latest = {(row.person_id.rpartition("/")[2], row.interaction_id): row.kind for row in rows}
        in_order = sorted(arrived, key=lambda payload: payload["action_ts"])
        wanted = {(payload["user"], payload["interaction_id"]): payload["verdict"] for payload in in_order}
        assert latest == wanted
        whispers = [each for each in self.house.workspace.messages(ASK) if each.seen_by is not None]
        heard = Counter((each.seen_by, each.text) for each in whispers)
        for (user, verdict), clicks in Counter((click.user, click.verdict) for click in counted).items():
            assert heard[user, VOTES[verdict]] >= clicks
        self.happened["vote"] += len(rows)
        self.happened["vote of which the person heard nothing"] += sum(not click.sure for click in counted)


@pytest.fixture
def stage(tiny_base: BaseModel, engine: Engine, sqlite_template: Path) -> Iterator[Stage]:
    stage = Stage(tiny_base, engine, sqlite_template)
    yield stage
    stage.close()


@pytest.mark.parametrize(
    ("examples", "steps", "worth_seeing"),
    [
        (20, 15, SEEN_SOON),
        pytest.param(1_000, 15, WORTH_SEEING, marks=[pytest.mark.slow, pytest.mark.timeout(14_400)]),
    ],
)
def test_each_question_has_one_answer_and_each_click_counts_once(
    stage: Stage, examples: int, steps: int, worth_seeing: set[str]
) -> None:
    class OnThisStage(Delivery):
        happened: ClassVar[Counter[str]] = Counter()

    OnThisStage.stage = stage
    run_examples(OnThisStage, examples, steps)
    assert {what for what, often in OnThisStage.happened.items() if often} >= worth_seeing
