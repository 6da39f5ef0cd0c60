import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.message_link import MessageLink, answer_at, is_link
from storage.errors import NotFoundError
from tests.bot.slack.conftest import ADA, ASK, Bot, Town, interactions
from tests.bot.slack.saying import asked_and_answered

TS = "1700000000.000100"


@pytest.mark.parametrize(
    "link",
    [
        "https://team.slack.com/archives/C0123ABCD/p1700000000000100",
        "https://team.slack.com/archives/C0123ABCD/p1700000000000100?thread_ts=1699999999.000200&cid=C0123ABCD",
        "https://team.slack.com/?channel=C0123ABCD&message=1700000000.000100",
    ],
)
def test_a_link_says_which_message_it_is_also_with_its_thread(link: str) -> None:
    assert is_link(link)
    assert MessageLink.read(link) == MessageLink("team.slack.com", "C0123ABCD", TS)


@pytest.mark.parametrize(
    "link",
    [
        "https://team.slack.com/archives/C0123ABCD",
        "https://team.slack.com/archives/C0123ABCD/p17000",
        "https://team.slack.com/archives/C0123ABCD/p1700000000000100/files",
        "https://team.slack.com/?channel=C0123ABCD&message=17",
        "https://example.org/",
    ],
)
def test_what_is_no_link_of_a_message_is_told_where_to_get_one(link: str) -> None:
    with pytest.raises(NotFoundError, match="Choose “Copy link” at the message"):
        MessageLink.read(link)


async def test_the_links_of_an_answer_and_of_its_question_lead_to_the_answer(bot: Bot, town: Town) -> None:
    answer = await asked_and_answered(bot, town)
    (kept,) = interactions(bot)

    assert await found_by_link(bot, answer["ts"]) == kept.id
    assert await found_by_link(bot, kept.question_ts) == kept.id


async def test_the_link_of_a_message_that_was_not_answered_leads_nowhere(bot: Bot, town: Town) -> None:
    await asked_and_answered(bot, town)
    chat = await town.send(ADA, "lunch?")

    with pytest.raises(NotFoundError, match=f"the message {chat} in {ASK} is neither an answer nor a question"):
        await found_by_link(bot, chat)


async def found_by_link(bot: Bot, ts: str) -> str:
    """Copy the link of a message, and return the id of the answer that it leads to."""
    client: AsyncWebClient = bot.client
    copied = str((await client.chat_getPermalink(channel=ASK, message_ts=ts))["permalink"])
    with bot.parts.database.read() as session:
        return answer_at(session, MessageLink.read(copied)).id
