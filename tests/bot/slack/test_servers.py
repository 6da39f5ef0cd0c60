"""People are answered by a server in place of the embedded engine, and notice nothing of it but its failures."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.serving import ServingAdapter
from bot.slack.pace import Pace
from bot.slack.parts import SlackParts
from learning.base_model import BaseModel
from learning.engine import Engine
from learning.fleet import Fleet
from learning.model_server import ModelServer, ServerSettings
from learning.server_engine import ServerEngine
from storage.database import Database
from storage.settings import SlackSettings
from tests.bot.slack.conftest import ADA, Bot, Town, all_done, eventually, interactions, make_parts
from tests.bot.slack.proposing import taught
from tests.learning.server_double import BASE, Double, said


@pytest.fixture
def takes_adapters() -> bool:
    return True


@pytest.fixture
def double(*, takes_adapters: bool) -> Iterator[Double]:
    double = Double(takes_adapters=takes_adapters).start()
    yield double
    double.stop()


@pytest.fixture
def parts(
    slack_settings: SlackSettings,
    sqlite_database: Database,
    engine: Engine,
    tiny_base: BaseModel,
    tmp_path: Path,
    pace: Pace,
    double: Double,
) -> SlackParts:
    made = make_parts(slack_settings, sqlite_database, engine, tiny_base, tmp_path, pace)
    answering = ServerEngine(engine, Fleet([ModelServer(double.url, ServerSettings())]))
    answering.look()
    return replace(made, engine=answering, serving=ServingAdapter(sqlite_database, made.store, answering))


async def test_an_answer_is_the_servers_and_once_an_adapter_was_approved_it_is_that_adapters(
    bot: Bot, town: Town, double: Double
) -> None:
    before = await town.answer(await town.mention(ADA, "kite wind"))
    digest = await taught(bot)
    after = await town.answer(await town.mention(ADA, "kite tail"))
    await town.command(ADA, "ask string")
    private = await town.told(ADA)

    assert before["text"].strip() == said(BASE, "kite wind")
    assert after["text"].strip() == said(digest, "kite tail")
    assert said(digest, "string") in str(private)
    kept = await asyncio.to_thread(interactions, bot)
    assert [row.adapter_digest for row in kept] == [None, digest, digest]
    assert all(row.usage["completion_tokens"] == len(row.usage["logprobs"]) > 0 for row in kept)
    assert double.adapters == {digest: str(bot.parts.store.path(digest).resolve())}


async def test_what_was_asked_while_the_server_was_away_is_answered_when_it_is_back(
    bot: Bot, town: Town, double: Double, caplog: pytest.LogCaptureFixture
) -> None:
    double.stop()
    asked = await town.mention(ADA, "kite wind")

    async def tried() -> bool:
        return "no server answers" in caplog.text

    await eventually(tried)
    double.start()

    assert (await town.answer(asked))["text"].strip() == said(BASE, "kite wind")
    assert len(await town.answers(asked)) == 1


async def test_of_an_answer_that_the_server_broke_off_nothing_is_left_but_an_apology(
    bot: Bot, town: Town, double: Double
) -> None:
    double.breaks_after = 2

    asked = await town.mention(ADA, "kite wind")
    await all_done(bot, 1)

    (answer,) = await town.answers(asked)
    assert answer["text"].startswith("Sorry, that did not work this time.")
    assert interactions(bot) == []


@pytest.mark.parametrize("takes_adapters", [False])
async def test_where_the_server_takes_no_adapters_the_base_model_answers_and_it_is_said_why(
    bot: Bot, town: Town, double: Double
) -> None:
    digest = await taught(bot)

    answer = await town.answer(await town.mention(ADA, "kite wind"))

    assert answer["text"].strip() == said(BASE, "kite wind")
    refused = bot.parts.serving.refused
    assert refused is not None
    assert refused.digest == digest
    assert "without adapters: it has no /v1/load_lora_adapter" in refused.why
