"""What the Slack side is given: the rest of the product, already put together."""

import asyncio
from dataclasses import dataclass, field

from bot.serving import ServingAdapter
from governance.flows import Governance
from learning.base_model import BaseModel
from learning.engine import Engine
from learning.examples import WorkedExamples
from storage.artifacts import ArtifactStore
from storage.database import Database
from storage.records import Clock, utc_now
from storage.settings import Settings


@dataclass(frozen=True)
class SlackParts:
    """What listeners and worker use.

    `arrived` wakes the worker when a listener has stored something, `owed` the deliverer when a message is owed.
    Whoever draws a proposal's message holds `drawing`, whoever writes to the inbox `storing`: listeners run side by
    side, and events keep the order in which they came.
    """

    settings: Settings
    database: Database
    governance: Governance
    engine: Engine
    base: BaseModel
    serving: ServingAdapter
    examples: WorkedExamples
    clock: Clock = utc_now
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    owed: asyncio.Event = field(default_factory=asyncio.Event)
    drawing: asyncio.Lock = field(default_factory=asyncio.Lock)
    storing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def store(self) -> ArtifactStore:
        """Where the reports that approvers read are kept."""
        return ArtifactStore(self.settings.artifact_folder)
