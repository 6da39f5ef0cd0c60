"""How people in the small workspace say what they think of an answer, and what they are told of it."""

import asyncio

from bot.slack import names
from storage.feedback import Feedback, list_feedback
from tests.bot.slack.conftest import ADA, ASK, Bot, Message, Town, eventually, find_element, interactions


def feedback(bot: Bot) -> list[Feedback]:
    """Return what people said, in the order in which it came."""
    with bot.parts.database.read() as session:
        return list_feedback(session)


async def asked_and_answered(bot: Bot, town: Town, text: str = "kite wind") -> Message:
    """Let Ada ask in the channel; return the answer once it is kept."""
    before = len(await asyncio.to_thread(interactions, bot))
    answer = await town.answer(await town.mention(ADA, text))
    await answers_kept(bot, before + 1)
    return answer


async def answers_kept(bot: Bot, count: int) -> None:
    """Wait until so many answers are kept."""

    async def enough() -> bool:
        return len(await asyncio.to_thread(interactions, bot)) >= count

    await eventually(enough)


async def press_vote(town: Town, user: str, answer: Message, which: str) -> None:
    """Press one of the two feedback buttons: `positive` or `negative`."""
    _, element = find_element(answer, names.VOTE_ACTION)
    await town.press(user, answer, names.VOTE_ACTION, element[f"{which}_button"]["value"])


async def correct(town: Town, user: str, answer: Message, text: str) -> None:
    """Write the right answer in the modal."""
    async with town.watch(user):
        await town.press(user, answer, names.CORRECT_ACTION)
        assert (await town.submit(user, await town.view(user), names.CORRECTION_BLOCK, text))["ok"]


async def told(town: Town, user: str, beginning: str, channel: str = ASK) -> Message:
    """Wait for the one message that only this person sees and that begins so; there is no other one."""

    async def only_that() -> list[Message]:
        whispered = [message for message in await town.history(user, channel) if message["ephemeral"]]
        return whispered if len(whispered) == 1 and whispered[0]["text"].startswith(beginning) else []

    return (await eventually(only_that))[0]


def has(message: Message, action_id: str) -> bool:
    """Tell whether a message has this button or select."""
    return any(each.get("action_id") == action_id for block in message["blocks"] for each in block.get("elements", []))
