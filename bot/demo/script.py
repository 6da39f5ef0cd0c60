"""The scripted story: three members act in the local workspace, through Slack's protocol; what they see is judged."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from bot.demo.company import Fact
from bot.local import APPROVALS_CHANNEL, APPROVER, ASKER, EXPERT, QUESTIONS_CHANNEL
from bot.service import Service
from bot.slack.names import APPROVE_ACTION, CORRECT_ACTION, CORRECTION_BLOCK, CORRECTION_VIEW, INPUT_ACTION
from bot.workspace.model import Message
from bot.workspace.people import People
from bot.workspace.state import Workspace
from storage.errors import ApprenticeError
from storage.feedback import list_feedback
from storage.people import names_of
from storage.proposals import decisions_on

ANSWER_SECONDS = 600
"""How long the story waits for one thing; on two idle cores twenty questions at once take about a minute."""

Found = TypeVar("Found")
OnStep = Callable[[str, int, int], None]


class StoryError(ApprenticeError):
    """The story did not go on as it should."""


@dataclass(frozen=True)
class Answered:
    """One question and the answer that its asker saw."""

    question: str
    answer: str
    correct: bool


@dataclass
class Outcome:
    """What the story led to; `to_json` is what `--json` writes."""

    before: list[Answered] = field(default_factory=list)
    after: list[Answered] = field(default_factory=list)
    gates: list[dict[str, Any]] = field(default_factory=list)
    approved_by: list[str] = field(default_factory=list)
    audit: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def improved(self) -> bool:
        """Whether more is right after than before, and the audit log verifies."""
        return right(self.after) > right(self.before) and bool(self.audit.get("verified"))

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)


def right(answers: Sequence[Answered]) -> int:
    """Count the right ones."""
    return sum(answer.correct for answer in answers)


async def play(service: Service, facts: Sequence[Fact], on_step: OnStep) -> Outcome:
    """Play the story on a running service with a local workspace.

    Raises:
        StoryError: an answer, a proposal or a promotion did not come.
        ApprenticeError: training failed.

    """
    outcome = Outcome()
    clock = _Stopwatch(outcome.seconds)
    asked = await ask_all(service, facts, on_step, "questions before")
    outcome.before = [answered for answered, _ in asked]
    clock.lap("before")
    await correct_all(service, facts, [message for _, message in asked], on_step)
    clock.lap("corrections")
    result = await service.training.train("demo")
    outcome.gates = [asdict(gate) for gate in result.gates]
    clock.lap("training_and_evaluation")
    if result.proposal is None:
        raise StoryError("the new adapter failed its gates: " + " ".join(gate.explanation for gate in result.gates))
    await approve(service)
    outcome.approved_by = approvers(service, result.proposal.id)
    clock.lap("approval")
    outcome.after = [answered for answered, _ in await ask_all(service, facts, on_step, "questions after")]
    clock.lap("after")
    verification = await asyncio.to_thread(service.parts.audit.verify, service.parts.database)
    outcome.audit = {"verified": verification.verified, "records": verification.records, "root": verification.root}
    clock.lap("audit")
    clock.total()
    return outcome


async def ask_all(
    service: Service, facts: Sequence[Fact], on_step: OnStep, label: str
) -> list[tuple[Answered, Message]]:
    """Let Ada ask each fact twice, in the handbook's words and in others; return the answers in that order."""
    workspace, people = _town(service)
    questions = [(fact, wording) for fact in facts for wording in (fact.question, fact.in_other_words)]
    done = 0

    async def ask(fact: Fact, question: str) -> tuple[Answered, Message]:
        nonlocal done
        mention = f"<@{workspace.bot_user}> {question}"
        ts = await people.send(ASKER.id, QUESTIONS_CHANNEL, mention)
        message = await _answer_to(workspace, ts)
        done += 1
        on_step(label, done, len(questions))
        text = spoken(message)
        return Answered(question, text, fact.is_right(text)), message

    return list(await asyncio.gather(*(ask(fact, question) for fact, question in questions)))


async def correct_all(service: Service, facts: Sequence[Fact], messages: Sequence[Message], on_step: OnStep) -> None:
    """Let Priya put each answer right, through the button and its modal; she corrects the first wording only."""
    workspace, people = _town(service)
    for number, (fact, message) in enumerate(zip(facts, messages[::2], strict=True), start=1):
        await people.click(EXPERT.id, QUESTIONS_CHANNEL, message.ts, CORRECT_ACTION)
        view = await _open_view(workspace, EXPERT.id)
        errors = await people.submit(EXPERT.id, view, {CORRECTION_BLOCK: {INPUT_ACTION: fact.answer}})
        if errors:
            raise StoryError(f"the correction of {fact.question!r} was refused: {errors}")
        on_step("corrections", number, len(facts))
    # A form closes before its correction is in the database.
    await _wait(lambda: _corrections(service) >= len(facts) or None, "not all corrections were taken in")


def _corrections(service: Service) -> int:
    with service.parts.database.read() as session:
        return sum(feedback.kind == "correction" for feedback in list_feedback(session))


async def approve(service: Service) -> None:
    """Let Marcus approve the proposal in the approvers' channel, and wait until the adapter answers."""
    workspace, people = _town(service)
    before = service.engine.serving
    message = await _wait(lambda: _with_button(workspace, APPROVE_ACTION), "the proposal was not posted")
    await people.click(APPROVER.id, APPROVALS_CHANNEL, message.ts, APPROVE_ACTION)
    await _wait(lambda: service.engine.serving != before or None, "the approved adapter was not put live")


def approvers(service: Service, proposal_id: str) -> list[str]:
    """Return the names of those who approved."""
    with service.parts.database.read() as session:
        people = [each.person_id for each in decisions_on(session, proposal_id) if each.verdict == "approve"]
        names = names_of(session, people)
    return [names[person] for person in people]


def spoken(message: Message) -> str:
    """Return the text of an answer as its reader sees it."""
    return message.text.strip()


def _town(service: Service) -> tuple[Workspace, People]:
    assert service.workspace is not None
    assert service.people is not None
    return service.workspace, service.people


async def _answer_to(workspace: Workspace, ts: str) -> Message:
    def finished() -> Message | None:
        replies = workspace.messages(QUESTIONS_CHANNEL, thread_ts=ts)
        return next((reply for reply in replies if reply.user == workspace.bot_user and not reply.streaming), None)

    return await _wait(finished, "no answer came")


def _with_button(workspace: Workspace, action_id: str) -> Message | None:
    messages = reversed(workspace.messages(APPROVALS_CHANNEL))
    return next((message for message in messages if action_id in str(message.blocks)), None)


async def _open_view(workspace: Workspace, user: str) -> str:
    def form() -> str | None:
        views = (view for view in workspace.open_views(user) if view["callback_id"] == CORRECTION_VIEW)
        return next((str(view["id"]) for view in views), None)

    return await _wait(form, "the correction form did not open")


async def _wait(look: Callable[[], Found | None], problem: str) -> Found:
    """Look until there is something; what is true of the workspace a moment later shows within one look."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise StoryError(f"{problem} within {ANSWER_SECONDS} s. Try again when this machine is less busy.")
        await asyncio.sleep(0.05)
    return found


class _Stopwatch:
    """Writes the seconds of each part of the story, and of all of it, into a dictionary."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._begun = self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self._seconds[name] = round(now - self._last, 1)
        self._last = now

    def total(self) -> None:
        self._seconds["total"] = round(time.monotonic() - self._begun, 1)
