"""What the bot owes people reaches them: once where Slack lets it be told, at least once where not."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.slack.outbox import Outbox
from bot.slack.sweep import sweep
from bot.workspace.seed import AppDefinition
from governance.privacy.rules import RetentionRules
from storage.outbox import OutboxCall
from tests.bot.slack.conftest import ADA, APPROVALS, ASK, PRIYA, Bot, Town, all_sent, eventually, jobs_in, owed


def outbox(bot: Bot) -> Outbox:
    return Outbox(bot.parts, "")


async def said(town: Town, channel: str) -> list[str]:
    return [message["text"] for message in await town.history(ADA, channel) if message["user"] == town.bot]


@pytest.mark.parametrize("fault", ["rate_limit_next", "fail_next", "drop_next"])
async def test_a_message_is_posted_once_whatever_becomes_of_the_call(bot: Bot, town: Town, fault: str) -> None:
    await town.post("faults", retry_after=0, **{fault: 2})

    await outbox(bot).post("a", ASK, "The shop closes at six.")

    (call,) = await all_sent(bot, 1)
    assert await said(town, ASK) == ["The shop closes at six."]
    assert call.attempts > 1
    assert call.result == (await town.history(ADA, ASK))[-1]["ts"]


async def test_a_message_whose_sender_was_killed_is_looked_for_before_it_is_sent_again(bot: Bot, town: Town) -> None:
    await town.post("faults", hang_next=1)
    await outbox(bot).post("a", ASK, "The shop closes at six.")
    await eventually(lambda: said(town, ASK))

    await bot.stop_worker()
    assert [call.state for call in owed(bot)] == ["sending"]
    bot.start_worker()

    await all_sent(bot, 1)
    assert await said(town, ASK) == ["The shop closes at six."]


class TestTheChannelCannotBeRead:
    @pytest.fixture
    def app_definition(self, app_definition: AppDefinition) -> AppDefinition:
        return replace(app_definition, scopes=app_definition.scopes - {"channels:history"})

    async def test_a_message_in_doubt_is_sent_again_and_the_log_says_so(
        self, bot: Bot, town: Town, caplog: pytest.LogCaptureFixture
    ) -> None:
        await town.post("faults", drop_next=1)
        await outbox(bot).post("a", ASK, "The shop closes at six.")

        await all_sent(bot, 1)
        assert await said(town, ASK) == ["The shop closes at six."] * 2
        assert "may be posted twice" in caplog.text


async def test_what_one_person_alone_sees_comes_at_least_once(bot: Bot, town: Town) -> None:
    await town.post("faults", drop_next=1)
    await outbox(bot).whisper("a", ASK, ADA, "Recorded.")

    await all_sent(bot, 1)
    assert await town.whispers(ADA) == ["Recorded."] * 2
    assert await town.whispers(PRIYA) == []


async def test_messages_to_one_place_keep_their_order_while_the_first_is_tried_again(bot: Bot, town: Town) -> None:
    await town.post("faults", fail_next=2)
    for text in ("one", "two", "three"):
        await outbox(bot).post(text, APPROVALS, text)

    await all_sent(bot, 3)
    assert await said(town, APPROVALS) == ["one", "two", "three"]


async def test_what_slack_refuses_for_good_is_given_up_with_the_reason_and_holds_up_nothing(
    bot: Bot, town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    await outbox(bot).post("long", ASK, "x" * 40_001)
    await outbox(bot).post("short", ASK, "short")
    await outbox(bot).post("gone", "CGONE", "anybody?")

    long, short, gone = await all_sent(bot, 3)
    assert [long.state, short.state, gone.state] == ["failed", "sent", "failed"]
    assert await said(town, ASK) == ["short"]
    assert gone.error == "channel_not_found (the channel is gone, or the bot is not in it)"
    assert gone.error in caplog.text


async def test_a_rate_limit_rests_its_method_as_long_as_slack_asks_and_no_other(bot: Bot, town: Town) -> None:
    await town.post("faults", rate_limit_next=1, retry_after=60)
    await outbox(bot).post("refused", ASK, "refused")
    (refused,) = await eventually(lambda: put_off(bot))
    await outbox(bot).post("same method", APPROVALS, "waits as well")
    await outbox(bot).whisper("other method", ASK, ADA, "goes out")

    assert await eventually(lambda: town.whispers(ADA)) == ["goes out"]
    assert refused.not_before is not None
    assert timedelta(seconds=50) < refused.not_before - refused.created_at <= timedelta(seconds=70)
    states = {call.key: call.state for call in await asyncio.to_thread(owed, bot)}
    assert (states["refused"], states["same method"]) == ("waiting", "waiting")


async def put_off(bot: Bot) -> list[OutboxCall]:
    return [call for call in await asyncio.to_thread(owed, bot) if call.not_before is not None]


@pytest.mark.parametrize(("hours", "state"), [(23, "sent"), (25, "failed")])
async def test_a_message_is_tried_for_a_day(connected_bot: Bot, town: Town, hours: int, state: str) -> None:
    await outbox(connected_bot).post("old", ASK, "old")
    with connected_bot.parts.database.transaction() as session:
        (call,) = owed(connected_bot)
        call.created_at -= timedelta(hours=hours)
        session.merge(call)
    await town.post("faults", fail_next=1)
    connected_bot.start_deliverer()

    (call,) = await all_sent(connected_bot, 1)
    assert call.state == state


async def test_what_asks_for_what_is_so_already_is_done(bot: Bot, town: Town) -> None:
    await outbox(bot).post("a", ASK, "a")
    (posted,) = await all_sent(bot, 1)
    for number in range(2):
        await outbox(bot).owe(f"delete {number}", "lane", "chat.delete", channel=ASK, ts=posted.result)

    assert [call.state for call in await all_sent(bot, 3)] == ["sent"] * 3
    assert await said(town, ASK) == []


async def test_a_week_later_the_text_of_what_was_asked_and_told_is_gone(bot: Bot, town: Town) -> None:
    channel = await town.dm(ADA)
    await town.mention(ADA, "", channel)
    await all_sent(bot, 1)
    now = bot.parts.clock()

    await asyncio.to_thread(sweep, bot.parts.database, now + timedelta(days=6), RetentionRules())
    assert (len(jobs_in(bot)), len(owed(bot))) == (1, 1)
    await asyncio.to_thread(sweep, bot.parts.database, now + timedelta(days=8), RetentionRules())
    assert (jobs_in(bot), owed(bot)) == ([], [])
