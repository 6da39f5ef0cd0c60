"""Guests, people of other organisations and other apps: whom the bot answers, and whose feedback counts."""

import asyncio
from dataclasses import replace

import pytest

from bot.slack import names
from bot.workspace.seed import Channel, Member
from bot.workspace.state import Workspace
from storage.feedback import list_feedback
from tests.bot.slack.conftest import (
    ADA,
    ASK,
    MARCUS,
    MEMBERS,
    PRIYA,
    Bot,
    Message,
    Town,
    all_done,
    eventually,
    find_element,
    interactions,
    use_policy,
)

GUEST, STRANGER, DEPLOYER = "UGUEST", "USTRANGER", "UDEPLOYER"
OTHERS = (
    Member(GUEST, "gil", "Gil Guest", is_ultra_guest=True),
    Member(STRANGER, "sam", "Sam Stranger", team_id="TOTHER"),
    Member(DEPLOYER, "deployer", "Deployer", is_bot=True),
)


@pytest.fixture
def members() -> tuple[Member, ...]:
    return (*MEMBERS, *OTHERS)


@pytest.fixture
def workspace(workspace: Workspace) -> Workspace:
    workspace.channels[ASK] = replace(workspace.channels[ASK], is_ext_shared=True)
    workspace.channels["GSECRET"] = Channel("GSECRET", "secret", (ADA, workspace.bot_user), is_private=True)
    return workspace


async def ignored(bot: Bot, town: Town, user: str) -> None:
    """Have this person ask, then Ada; only Ada is answered."""
    asked = await town.mention(user, "kite")
    await town.answer(await town.mention(ADA, "wind"))
    await all_done(bot, 1)
    assert await town.answers(asked) == []
    assert [kept.question for kept in interactions(bot)] == ["wind"]
    assert await town.whispers(user) == []


async def voted(bot: Bot, town: Town, user: str, answer: Message) -> str:
    """Have this person vote; return what they were told."""
    _, element = find_element(answer, names.VOTE_ACTION)
    await town.press(user, answer, names.VOTE_ACTION, element["positive_button"]["value"])
    (told,) = await eventually(lambda: town.whispers(user))
    return told


def votes(bot: Bot) -> list[str]:
    with bot.parts.database.read() as session:
        return [row.person_id for row in list_feedback(session)]


@pytest.mark.parametrize("text", ["ask kite", "status", "train"])
async def test_whom_the_policy_ignores_gets_nothing_from_the_command_either(bot: Bot, town: Town, text: str) -> None:
    await town.command(STRANGER, text)

    told = await town.told(STRANGER)

    assert told["text"] == "The policy does not let me answer people of other organisations."
    assert interactions(bot) == []


async def test_whom_the_policy_ignores_may_still_see_what_is_kept_about_them(bot: Bot, town: Town) -> None:
    await town.command(STRANGER, "my-data")

    assert "policy" not in (await town.told(STRANGER))["text"]


async def test_a_guest_is_answered_but_does_not_teach(bot: Bot, town: Town) -> None:
    answer = await town.answer(await town.mention(GUEST, "kite"))
    await all_done(bot, 1)

    told = await voted(bot, town, GUEST, answer)

    assert told == "Thank you, but feedback of guests does not count here; members of the workspace teach me."
    assert votes(bot) == []


async def test_a_guest_is_shown_no_two_answers_to_choose_between(bot: Bot, town: Town) -> None:
    await town.command(GUEST, "compare kite wind")
    told = (await town.told(GUEST))["text"]
    assert told == "Thank you, but feedback of guests does not count here; members of the workspace teach me."


async def test_a_guest_teaches_where_the_policy_says_so(bot: Bot, town: Town) -> None:
    use_policy(bot, people={"guests": "answer"})
    answer = await town.answer(await town.mention(GUEST, "kite"))
    await all_done(bot, 1)

    assert "Recorded" in await voted(bot, town, GUEST, answer)
    assert len(votes(bot)) == 1


async def test_a_guest_is_ignored_where_the_policy_says_so(bot: Bot, town: Town) -> None:
    use_policy(bot, people={"guests": "ignore"})
    await ignored(bot, town, GUEST)


async def test_somebody_of_another_organisation_is_ignored(bot: Bot, town: Town) -> None:
    await ignored(bot, town, STRANGER)


async def test_where_the_policy_welcomes_other_organisations_their_people_belong_to_their_own_workspace(
    bot: Bot, town: Town
) -> None:
    use_policy(bot, people={"external": "answer"})

    answer = await town.answer(await town.mention(STRANGER, "kite"))
    await all_done(bot, 1)
    assert "Recorded" in await voted(bot, town, STRANGER, answer)

    (kept,) = interactions(bot)
    assert kept.asker_id == f"TOTHER/{STRANGER}"
    assert kept.workspace_id != "TOTHER"
    assert votes(bot) == [f"TOTHER/{STRANGER}"]


async def test_another_app_is_ignored_and_what_it_writes_is_not_kept(bot: Bot, town: Town) -> None:
    await ignored(bot, town, DEPLOYER)
    assert len(await all_done(bot, 1)) == 1


async def test_another_app_gets_no_more_answers_in_a_thread_than_the_policy_allows(bot: Bot, town: Town) -> None:
    use_policy(bot, people={"bots": "answer", "answers_to_a_bot": 2})
    asked = await town.mention(DEPLOYER, "kite")
    for _ in range(3):
        await town.mention(DEPLOYER, "wind", thread_ts=asked)
    await town.mention(ADA, "spool", thread_ts=asked)

    await all_done(bot, 5)
    assert [kept.question for kept in interactions(bot)] == ["kite", "wind", "spool"]


async def test_a_mention_in_a_private_channel_is_answered_and_private(bot: Bot, town: Town) -> None:
    asked = await town.mention(ADA, "kite", "GSECRET")

    await town.answer(asked, "GSECRET")

    (kept,) = await eventually(lambda: asyncio.to_thread(interactions, bot))
    assert (kept.thread_ts, kept.private) == (asked, True)


async def test_in_direct_messages_of_several_people_the_bot_answers_when_it_is_mentioned(bot: Bot, town: Town) -> None:
    opened = await town.post("dm", user=ADA, **{"with": [PRIYA, MARCUS, town.bot]})
    channel = opened["channel"]["id"]

    unasked = await town.send(PRIYA, "lunch?", channel)
    asked = await town.mention(PRIYA, "kite", channel)
    await town.answer(asked, channel)

    await all_done(bot, 1)
    (kept,) = interactions(bot)
    assert (kept.question, kept.thread_ts, kept.private) == ("kite", asked, True)
    assert await town.answers(unasked, channel) == []
