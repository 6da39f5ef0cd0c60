"""The app of `apprentice bench slack`, until it is killed: `python -m bot.bench.slack_bot FOLDER`.

Either ours, whole on its Slack side but for the engine, or a plain Bolt app that stores nothing.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, SecretStr
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp

from bot.assembly import open_parts
from bot.serving import ServingAdapter
from bot.slack.clients import Clients
from bot.slack.delivery import Deliverer
from bot.slack.parts import SlackParts
from bot.slack.socket import connected, make_client
from bot.slack.worker import InboxWorker
from bot.training import Training
from learning.base_model import BaseModel as BaseLanguageModel
from learning.engine import Completion, Engine, Piece
from learning.examples import WorkedExamples
from learning.prompts import ChatMessage
from learning.taught import TaughtFeedback
from storage.settings import DatabaseSettings, Settings

Side = Literal["ours", "plain"]
ANSWER = "Fold the wing from the tip, then roll it around the spar."


class BotJob(BaseModel):
    """Which app is run, with the settings in force: where Slack and the database are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: Side
    bot_token: str
    app_token: str
    api_url: str
    database_url: str
    data_folder: Path


class FixedEngine:
    """Stands in for the engine, which is not what is measured: it gives every question the same answer at once."""

    serving: str | None = None

    async def stream(self, messages: Sequence[ChatMessage], **_: Any) -> AsyncGenerator[Piece, None]:
        """Yield the answer in one piece."""
        yield Piece(
            ANSWER,
            Completion(
                text=ANSWER, token_ids=(), logprobs=(), prompt_tokens=len(messages), adapter=None, in_scope=True,
                read_as=None, finish_reason="stop", seconds=0.0, seconds_to_first_token=0.0,
            ),
        )  # fmt: skip


async def run(job: BotJob) -> None:
    """Work until the process is killed."""
    await (_run_ours(job) if job.side == "ours" else _run_plain(job))


async def _run_ours(job: BotJob) -> None:
    settings = _settings(job)
    parts = _slack_parts(settings)
    client = make_client(settings.slack)
    async with connected(parts, client, settings.slack), asyncio.TaskGroup() as tasks:
        tasks.create_task(Deliverer(parts, Clients(client)).run())
        tasks.create_task(InboxWorker(parts, Clients(client)).run())


async def _run_plain(job: BotJob) -> None:
    app = AsyncApp(client=make_client(_settings(job).slack), signing_secret="")

    @app.event("app_mention")
    async def mentioned() -> None:
        pass

    await AsyncSocketModeHandler(app, job.app_token).start_async()  # type: ignore[no-untyped-call]


def _slack_parts(settings: Settings) -> SlackParts:
    parts, engine = open_parts(settings), cast("Engine", FixedEngine())
    taught = TaughtFeedback(parts.database, parts.store)
    base = BaseLanguageModel("none", settings.data_folder, "0" * 64, "none")
    return SlackParts(
        settings=settings,
        database=parts.database,
        governance=parts.governance,
        engine=engine,
        base=base,
        serving=ServingAdapter(parts.database, parts.store, engine),
        examples=WorkedExamples(parts.database, _no_meaning, settings.examples, taught),
        training=Training(parts, engine, base),
    )


def _no_meaning(texts: Sequence[str]) -> NDArray[np.float32]:
    """Nothing was taught, so nothing is searched for."""
    return np.zeros((len(texts), 1), dtype=np.float32)


def _settings(job: BotJob) -> Settings:
    """Return settings without limits on how much may be asked: every question is stored, and answered."""
    apart = Settings().apart(job.data_folder)
    tokens = {"bot_token": SecretStr(job.bot_token), "app_token": SecretStr(job.app_token)}
    slack = apart.slack.model_copy(update={"mode": "socket", "api_url": job.api_url, **tokens})
    return apart.model_copy(update={"slack": slack, "database": DatabaseSettings(url=job.database_url)})


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    asyncio.run(run(BotJob.model_validate_json((folder / "job.json").read_bytes())))
