"""The guide in the page: reads from the facts how far the visitor has come, and says what to do next."""

import asyncio
import tomllib
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from bot.demo.company import Fact, read_handbook
from bot.local import APPROVALS_CHANNEL, APPROVER, ASKER, EXPERT, QUESTIONS_CHANNEL
from bot.service import Service
from learning.pipeline import RunEvent
from storage.adapters import list_adapters
from storage.feedback import list_feedback
from storage.interactions import list_interactions
from storage.proposals import list_proposals

LOOK_SECONDS = 0.5
TEXTS = Path(__file__).parent / "guide.toml"
PEOPLE = {"asker": ASKER.id, "expert": EXPERT.id, "approver": APPROVER.id}
CHANNELS = {"questions": QUESTIONS_CHANNEL, "approvals": APPROVALS_CHANNEL}
TRAINING = 2
"""The step that waits for a run."""


@dataclass(frozen=True)
class Standing:
    """How far the visitor's story has come, as the database tells it."""

    asked: bool
    corrected: bool
    trained: bool
    kept_back: bool
    live: bool
    asked_again: bool

    @property
    def done(self) -> int:
        """How many steps are done; a later step counts only when those before it do."""
        steps = (self.asked, self.corrected, self.trained, self.live, self.asked_again)
        return len(list(takewhile(bool, steps)))


async def follow_guide(service: Service) -> None:
    """Keep the page's guide at the visitor's step, until cancelled."""
    assert service.workspace is not None
    fact = read_handbook()[0]
    latest: list[RunEvent] = []
    service.training.listeners.append(latest.append)
    shown: dict[str, Any] = {}
    while True:
        standing = await asyncio.to_thread(read_standing, service)
        guide = describe(standing, fact, service, latest[-1] if latest else None)
        if guide != shown:
            service.workspace.set_guide(guide)
            shown = guide
        await asyncio.sleep(LOOK_SECONDS)


def read_standing(service: Service) -> Standing:
    """Read from the database what has happened so far."""
    with service.parts.database.read() as session:
        interactions = list_interactions(session)
        serving = list_adapters(session, "serving")
        since = serving[0].serving_since if serving else None
        return Standing(
            asked=bool(interactions),
            corrected=any(feedback.kind == "correction" for feedback in list_feedback(session)),
            trained=bool(list_proposals(session)),
            kept_back=bool(list_adapters(session, "rejected")),
            live=bool(serving),
            asked_again=since is not None and any(each.created_at > since for each in interactions),
        )


def describe(standing: Standing, fact: Fact, service: Service, event: RunEvent | None) -> dict[str, Any]:
    """Return the guide as the page shows it."""
    guide = tomllib.loads(TEXTS.read_text(encoding="utf-8"))
    fill = _words(fact, service)
    steps = [_step(step, fill, number, standing.done) for number, step in enumerate(guide["steps"])]
    training = steps[TRAINING]
    if standing.kept_back and training["state"] == "active":
        training["body"] += " " + guide["kept_back"]
    return {
        "title": guide["title"],
        "intro": guide["outro"].format(**fill) if standing.done == len(steps) else guide["intro"],
        "steps": steps,
        "done": standing.done == len(steps),
        "progress": _progress(event) if training["state"] == "active" and event is not None else None,
    }


def _words(fact: Fact, service: Service) -> dict[str, str]:
    assert service.workspace is not None
    return {
        "bot": f"<@{service.workspace.bot_user}>",
        "url": service.url,
        "asker": ASKER.real_name,
        "expert": EXPERT.real_name,
        "approver": APPROVER.real_name,
        "question": fact.question,
        "answer": fact.answer,
        "other_words": fact.in_other_words,
    }


def _step(step: dict[str, str], fill: dict[str, str], number: int, done: int) -> dict[str, Any]:
    filled = {key: text.format(**fill) for key, text in step.items()}
    state = "done" if number < done else "active" if number == done else "todo"
    return {**filled, "user": PEOPLE[step["user"]], "channel": CHANNELS[step["channel"]], "state": state}


def _progress(event: RunEvent) -> dict[str, Any]:
    return {"label": event.message or event.phase, "share": event.step / event.total if event.total else 0.0}
