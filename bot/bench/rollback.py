"""`apprentice bench rollback`: from the wish to take an adapter out to the first answer of the one before it.

Everything is the product's own: model, engine, bot and local workspace run here, `apprentice rollback` in a process of
its own, as an operator types it. The button is that of the adapter's proposal in Slack; its form is sent at once.
People ask all the while, each again soon after the last answer is shown.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from bot.bench.child import BenchError
from bot.bench.installation import LOOK_S, NEW_TOKENS, Asked, Installation, Round, Way, publish_adapters, settings_apart
from bot.service import Service, running
from learning.serving_timing import RANK
from storage.interactions import Interaction, list_interactions
from storage.settings import Settings
from storage.shadows import count_all_failures

WAYS: tuple[Way, ...] = ("command", "button")
KEPT_S = 10.0
FIGURES = ("done_s", "in_force_s", "first_text_s", "next_answer_s", "last_of_taken_out_s")
SHOW = Callable[[str, int, int, str], None]


def measure(settings: Settings, folder: Path, rounds: int, people: int, show: SHOW) -> dict[str, Any]:
    """Roll back so many times in each way, while so many people ask.

    Args:
        settings: whose model and hardware are used; nothing else of it is.
        folder: where the installation that is measured lies.
        rounds: rollbacks in each way.
        people: those who ask, each again soon after the last answer.
        show: hears of progress.

    Returns:
        Of `command` and `button`, from its start, in seconds, each as `min`, `median` and `max`: `done_s` until the
        command had ended, or the form was taken in; `in_force_s` until every new question was answered by the
        adapter before it; `first_text_s` until the first words of it were shown; `next_answer_s` until the first whole
        answer of it was; `last_of_taken_out_s` until the last answer that the one taken out had begun was (0 where none
        was under way). `asked` counts the questions, `failed` those that got no answer by either adapter,
        `failed_attempts` the times that an adapter failed at one.

    Raises:
        BenchError: the command failed, an adapter did not go live, or the one before it never answered.

    """
    return asyncio.run(_measure(settings_apart(settings, folder), folder, rounds, people, show))


async def _measure(settings: Settings, folder: Path, rounds: int, people: int, show: SHOW) -> dict[str, Any]:
    ways = [way for _ in range(rounds) for way in WAYS]
    async with running(settings) as service:
        show("rollbacks", 0, len(ways), "making adapters")
        digests = await asyncio.to_thread(publish_adapters, service, folder, len(ways) + 1)
        bench = Installation(service, settings, people)
        await bench.meet()
        await bench.go_live(digests[0])
        done = []
        for number, (way, digest) in enumerate(zip(ways, digests[1:], strict=True)):
            show("rollbacks", number, len(ways), way)
            done.append(await bench.round(way, digest))
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
        "people": people,
        "rounds": rounds,
        **timed,
        "asked": len(asked),
        "failed": sum(each.shown is None or each.ts not in known for each in asked),
        "failed_attempts": failures,
    }


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
        "in_force_s": one.in_force - one.began,
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
