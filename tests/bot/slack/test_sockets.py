"""Connections that break, go dead or fall silent: what is asked meanwhile is answered, once."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from bot.slack.app import SlackParts
from bot.slack.socket import connected, make_client
from bot.slack.watchdog import Patience, Sockets
from storage.settings import SlackSettings
from tests.bot.slack.conftest import ADA, PRIYA, Bot, Town, all_done, eventually, interactions
from tests.bot.slack.wire import Wire

BRISK = Patience(connect=10, close=0.2, ping_interval=1, look=0.02, first_pause=0.05, longest_pause=0.2)


@pytest.fixture
async def wire(town: Town) -> AsyncIterator[Wire]:
    slack = httpx.URL(town.url)
    async with Wire(slack.host, slack.port or 80).open() as wire:
        yield wire


@pytest.fixture
def patience() -> Patience:
    return BRISK


@pytest.fixture
async def connected_bot(
    parts: SlackParts, slack_settings: SlackSettings, wire: Wire, patience: Patience
) -> AsyncIterator[Bot]:
    settings = slack_settings.model_copy(update={"api_url": f"{wire.url}api/"})
    client = make_client(settings)
    async with connected(parts, client, settings, patience) as sockets:
        bot = Bot(parts, client, sockets)
        await both_work(bot)
        yield bot
        await bot.stop_worker()


async def both_work(bot: Bot) -> None:
    sockets = bot.link
    assert isinstance(sockets, Sockets)

    async def working() -> bool:
        return sockets.working == 2

    await eventually(working)


async def ask_and_be_answered_once(bot: Bot, town: Town, *texts: str) -> None:
    asked = [await town.mention(user, text) for user, text in zip((ADA, PRIYA) * len(texts), texts, strict=False)]
    for ts in asked:
        await town.answer(ts)
    await all_done(bot, len(asked))
    assert [len(await town.answers(ts)) for ts in asked] == [1] * len(asked)
    assert sorted(row.question for row in interactions(bot)) == sorted(texts)


async def test_there_are_two_connections_and_the_bot_says_so(bot: Bot, wire: Wire) -> None:
    assert len(wire.sockets) == 2
    health = bot.link.health()
    assert health.good
    assert re.fullmatch(r"2 of 2 connections open, last heard from \d s ago", health.text)


async def test_questions_on_either_connection_are_answered_once(bot: Bot, town: Town) -> None:
    await ask_and_be_answered_once(bot, town, "kite", "wind", "spool", "loom")


@pytest.mark.parametrize("count", [1, 2])
async def test_after_a_cut_questions_are_answered_once_and_both_connections_come_back(
    bot: Bot, town: Town, wire: Wire, count: int
) -> None:
    for connection in wire.sockets[:count]:
        connection.cut()

    await ask_and_be_answered_once(bot, town, "kite", "wind")
    await both_work(bot)


async def test_sockets_that_slack_drops_come_back(bot: Bot, town: Town) -> None:
    await town.post("faults", drop_sockets=True)

    await ask_and_be_answered_once(bot, town, "kite", "wind")
    await both_work(bot)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_connection_that_is_dead_without_a_word_is_built_anew(
    bot: Bot, town: Town, wire: Wire, count: int
) -> None:
    dead = wire.sockets[:count]
    for connection in dead:
        connection.freeze()

    await ask_and_be_answered_once(bot, town, "kite", "wind")

    async def replaced() -> bool:
        return len([each for each in wire.sockets if each not in dead]) == 2

    await eventually(replaced)


class TestSilence:
    @pytest.fixture
    def patience(self) -> Patience:
        return replace(BRISK, silence=1.0)

    async def test_connections_that_answer_pings_and_bring_nothing_are_built_anew(self, bot: Bot, town: Town) -> None:
        await town.post("faults", mute_sockets=True)

        await ask_and_be_answered_once(bot, town, "kite", "wind")


@pytest.mark.parametrize("status", [429, 500])
async def test_while_slack_refuses_connections_questions_wait_and_are_then_answered_once(
    bot: Bot, town: Town, status: int
) -> None:
    await town.post("faults", refuse_sockets_next=7, refuse_status=status, retry_after=0)
    await town.post("faults", drop_sockets=True)

    await ask_and_be_answered_once(bot, town, "kite", "wind")
    await both_work(bot)
    assert (await town.post("faults"))["faults"]["refuse_sockets_next"] == 0


async def test_when_slack_asks_for_a_new_connection_nothing_is_lost(bot: Bot, town: Town) -> None:
    await town.post("faults", refresh_sockets=True)

    await ask_and_be_answered_once(bot, town, "kite", "wind")
    await both_work(bot)


async def test_with_no_connection_left_the_bot_says_so(bot: Bot, town: Town, wire: Wire) -> None:
    await town.post("faults", refuse_sockets_next=1_000)
    for connection in wire.sockets:
        connection.cut()

    async def unwell() -> bool:
        return not bot.link.health().good

    await eventually(unwell)
    assert bot.link.health().text.startswith("0 of 2 connections open")


async def test_leaving_does_not_wait_for_connections_that_are_dead(
    parts: SlackParts, slack_settings: SlackSettings, wire: Wire
) -> None:
    settings = slack_settings.model_copy(update={"api_url": f"{wire.url}api/"})
    patient = replace(BRISK, ping_interval=60, close=0.2)
    async with asyncio.timeout(8):  # aiohttp alone waits 10 s for a farewell
        async with connected(parts, make_client(settings), settings, patient) as sockets:
            while sockets.working < 2:
                await asyncio.sleep(0.02)
            for connection in wire.sockets:
                connection.freeze()
    for connection in wire.sockets:
        connection.cut()
