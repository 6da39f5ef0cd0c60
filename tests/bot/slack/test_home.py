from bot.slack.prompts import PROMPTS
from tests.bot.slack.conftest import ADA, Bot, Message, Town, all_done, eventually


async def test_the_home_tab_says_what_answers_and_how_to_use_it(bot: Bot, town: Town) -> None:
    channel = await town.dm(ADA)
    await town.post("opened", user=ADA, channel=channel, tab="home")

    async def published() -> Message | None:
        return (await town.http.get("client/home", params={"user": ADA})).json()["view"]

    view = await eventually(published)
    assert "The base model" in str(view["blocks"])
    assert "Correct this" in str(view["blocks"])


async def test_opening_the_messages_suggests_prompts(bot: Bot, town: Town) -> None:
    channel = await town.dm(ADA)
    async with town.watch(ADA):
        await town.post("opened", user=ADA, channel=channel, tab="messages")
        await all_done(bot, 1)

        async def suggested() -> list[Message]:
            return town.prompts.get(ADA, [])

        assert [prompt["title"] for prompt in await eventually(suggested)] == [prompt["title"] for prompt in PROMPTS]
