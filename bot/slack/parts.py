"""What the Slack side is given: the rest of the product, already put together."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from bot.serving import ServingAdapter
from bot.slack.ears import Ears
from bot.slack.jobs import Job
from bot.slack.pace import Pace
from bot.slack.running import RunningAnswers
from bot.training import Training
from governance.flows import Governance
from learning.answering_engine import AnsweringEngine
from learning.base_model import BaseModel
from learning.examples import WorkedExamples
from learning.prompts import ChatMessage
from learning.taught import LearnedFeedback
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.records import Clock, utc_now
from storage.settings import Settings


@dataclass(eq=False)
class Arriving:
    """A job on its way into the inbox: whether it was settled that it is there, or why it is not."""

    job: Job
    at: datetime
    settled: bool = False
    error: Exception | None = None


@dataclass(frozen=True)
class Shadowed:
    """A question that was answered, and the adapter in shadow that is to be asked it too."""

    interaction_id: str
    adapter: str
    messages: Sequence[ChatMessage]


MOST_SHADOWED = 100
"""Questions that wait for a shadow answer; of more, nothing comes."""


@dataclass(frozen=True)
class SlackParts:
    """What listeners and worker use.

    `ears` know what is heard besides mentions. `arrived` wakes the worker when a listener has stored something, `owed`
    the deliverer when a message is owed; whoever draws a proposal's message holds `drawing`. `arriving`, `storing` and
    `inbox_thread` are those of `bot.slack.intake`, the only way into the inbox. `run_messages` has the ts of the
    message about each run that this process showed, by run id. `running` are the answers that are being made, `pace`
    says how often their askers hear of them. `to_shadow` is what adapters in shadow are still to be asked.
    """

    settings: Settings
    database: Database
    governance: Governance
    engine: AnsweringEngine
    base: BaseModel
    serving: ServingAdapter
    examples: WorkedExamples
    training: Training
    clock: Clock = utc_now
    ears: Ears = field(default_factory=Ears)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    owed: asyncio.Event = field(default_factory=asyncio.Event)
    drawing: asyncio.Lock = field(default_factory=asyncio.Lock)
    arriving: list[Arriving] = field(default_factory=list)
    storing: asyncio.Lock = field(default_factory=asyncio.Lock)
    inbox_thread: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "inbox"))
    run_messages: dict[str, str] = field(default_factory=dict)
    running: RunningAnswers = field(default_factory=RunningAnswers)
    pace: Pace = field(default_factory=Pace)
    to_shadow: asyncio.Queue[Shadowed] = field(default_factory=lambda: asyncio.Queue(MOST_SHADOWED))

    @property
    def store(self) -> ArtifactStore:
        """Where the reports that approvers read are kept."""
        return ArtifactStore(self.settings.artifact_folder)

    @cached_property
    def learned(self) -> LearnedFeedback:
        """What each adapter learned."""
        return LearnedFeedback(self.store)
