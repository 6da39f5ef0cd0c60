"""A channel's settings: who comes to them how, and what follows from them."""

import asyncio
from typing import Any

import pytest

from bot.slack import names
from bot.slack.intake import store_job
from bot.slack.jobs import SettingsChange
from bot.workspace.seed import Member
from learning.prompts import build_messages, prompt_digest
from storage.channels import ChannelSettings, channel_settings
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
    interactions,
    jobs_in,
    use_policy,
)

GUEST = "UGUEST"


@pytest.fixture
def members() -> tuple[Member, ...]:
    return (*MEMBERS, Member(GUEST, "gil", "Gil Guest", is_guest=True))


async def invited(town: Town, *, is_private: bool = False) -> str:
    """Ada creates a channel and brings the bot in; return the channel."""
    others = [PRIYA, MARCUS, GUEST]
    made = await town.post("channel", user=ADA, name="workshop", members=others, is_private=is_private)
    channel = str(made["channel"]["id"])
    await town.post("invite", user=ADA, channel=channel, other=town.bot)
    return channel


async def greetings(town: Town, channel: str) -> list[Message]:
    return [each for each in await town.history(ADA, channel) if names.SETTINGS_ACTION in str(each.get("blocks"))]


async def opened(town: Town, user: str, channel: str) -> Message:
    """Press Settings in the greeting; return the form, or what is shown in its place."""
    (greeting,) = await eventually(lambda: greetings(town, channel))
    async with town.watch(user):
        await town.press(user, greeting, names.SETTINGS_ACTION)
        return await form_of(town, user)


async def form_of(town: Town, user: str) -> Message:
    async def shown() -> Message | None:
        view = town.views[user][-1] if town.views[user] else None
        return view if view and "One moment" not in str(view["blocks"]) else None

    view = await eventually(shown)
    assert view is not None
    return view


def filled(element: dict[str, Any], value: Any = None) -> dict[str, Any]:
    """Return what a field holds: what was put into it, else what stood in it from the beginning."""
    kind = element["type"]
    if kind == "static_select":
        chosen = next((each for each in element["options"] if each["value"] == value), element["initial_option"])
        return {"type": kind, "selected_option": chosen}
    if kind == "multi_users_select":
        return {"type": kind, "selected_users": element.get("initial_users", []) if value is None else value}
    return {"type": kind, "value": element["initial_value"] if value is None else value}


async def submit(town: Town, user: str, view: Message, **changes: Any) -> dict[str, Any]:
    fields = {block["block_id"]: block["element"] for block in view["blocks"]}
    values = {key: {names.INPUT_ACTION: filled(element, changes.get(key))} for key, element in fields.items()}
    return await town.post("submit", user=user, view_id=view["id"], values=values, check=False)


async def set_up(town: Town, channel: str, user: str = ADA, **changes: Any) -> None:
    """Change settings in the form, and wait until the person is told that they are in force."""
    before = len(await town.whispers(user, channel))
    assert (await submit(town, user, await opened(town, user, channel), **changes))["ok"]

    async def told() -> bool:
        return len(await town.whispers(user, channel)) > before

    await eventually(told)
    assert (await town.whispers(user, channel))[-1].startswith("Saved: ")


async def in_force(bot: Bot, channel: str) -> ChannelSettings:
    team = str((await bot.client.auth_test())["team_id"])
    with bot.parts.database.read() as session:
        return channel_settings(session, team, channel)


@pytest.mark.parametrize("is_private", [False, True])
async def test_the_bot_greets_where_it_is_added_and_its_button_shows_the_settings_in_force(
    bot: Bot,
    town: Town,
    is_private: bool,  # noqa: FBT001
) -> None:
    channel = await invited(town, is_private=is_private)

    view = await opened(town, ADA, channel)

    shown = {block["block_id"]: filled(block["element"]) for block in view["blocks"]}
    assert shown["answers"]["selected_option"]["value"] == "mentions"
    assert shown["language"]["selected_option"]["value"] == "auto"
    assert shown["domain"]["value"] == "default"
    assert shown["trusted"]["selected_users"] == []


async def test_the_command_shows_them_too_and_says_why_where_there_are_none(bot: Bot, town: Town) -> None:
    channel, direct = await invited(town), await town.dm(ADA)
    await set_up(town, channel, answers="all")
    elsewhere = str(
        (await town.post("channel", user=ADA, name="attic", members=[PRIYA], is_private=True))["channel"]["id"]
    )
    for place, shown in (
        (channel, "When do I answer"),
        (direct, "direct messages with me have no settings"),
        (elsewhere, "I am not in this channel"),
    ):
        async with town.watch(ADA):
            await town.command(ADA, "settings", place)
            assert shown in str((await form_of(town, ADA))["blocks"])


async def test_what_one_member_saved_is_what_the_next_one_is_shown(bot: Bot, town: Town) -> None:
    channel = await invited(town)
    await set_up(town, channel, answers="all", language="de", domain=" Workshop ", trusted=[PRIYA])

    view = await opened(town, MARCUS, channel)

    shown = {block["block_id"]: filled(block["element"]) for block in view["blocks"]}
    assert shown["answers"]["selected_option"]["value"] == "all"
    assert shown["language"]["selected_option"]["value"] == "de"
    assert shown["domain"]["value"] == "workshop"
    assert shown["trusted"]["selected_users"] == [PRIYA]
    assert await in_force(bot, channel) == ChannelSettings("all", "de", "workshop", (PRIYA,))


async def test_an_impossible_domain_is_refused_in_the_form_and_nothing_is_changed(bot: Bot, town: Town) -> None:
    channel = await invited(town)
    view = await opened(town, ADA, channel)

    refused = await submit(town, ADA, view, answers="all", domain="the workshop!")
    assert "small letters" in refused["errors"][names.DOMAIN_BLOCK]
    assert await in_force(bot, channel) == ChannelSettings()
    assert (await submit(town, ADA, view, domain="workshop"))["ok"]


async def test_a_channel_that_answers_all_answers_whoever_writes_and_not_people_among_themselves(
    bot: Bot, town: Town
) -> None:
    channel = await invited(town)
    theirs = await town.send(PRIYA, "kite", channel)
    await set_up(town, channel, answers="all")

    asked = await town.send(ADA, "kite wind", channel)
    await town.answer(asked, channel)
    await town.send(MARCUS, "not for the bot", channel, thread_ts=theirs)
    await town.send(PRIYA, "spool", channel, thread_ts=asked)

    async def two() -> bool:
        return len(await town.answers(asked, channel)) == 2

    await eventually(two)
    await all_done(bot, 5)  # a greeting, a change, three messages; none of them one of the bot's own
    assert [kept.question for kept in interactions(bot)] == ["kite wind", "spool"]
    assert await town.answers(theirs, channel) == []


async def test_a_mention_where_all_is_answered_is_answered_once(bot: Bot, town: Town) -> None:
    channel = await invited(town)
    await set_up(town, channel, answers="all")

    asked = await town.mention(ADA, "kite", channel)
    await town.answer(asked, channel)
    await town.answer(await town.send(ADA, "wind", channel), channel)

    await all_done(bot, 4)
    assert len(await town.answers(asked, channel)) == 1


async def test_what_people_write_in_other_channels_never_reaches_the_database(bot: Bot, town: Town) -> None:
    channel = await invited(town)
    await set_up(town, channel, answers="all")
    await town.send(PRIYA, "a secret of another channel", ASK)
    await set_up(town, channel, answers="mentions")
    await town.send(PRIYA, "a secret of this channel", channel)

    await town.answer(await town.mention(ADA, "kite", channel), channel)

    jobs = await all_done(bot, 4)
    assert [job.kind for job in jobs] == ["joined", "settings_change", "settings_change", "question"]
    assert "secret" not in str([job.payload for job in jobs])


async def test_what_was_written_before_a_channel_was_set_back_is_not_answered_after(
    connected_bot: Bot, town: Town
) -> None:
    channel = await invited(town)
    connected_bot.start_worker()
    await set_up(town, channel, answers="all")
    await all_done(connected_bot, 2)
    await connected_bot.stop_worker()
    written = await town.send(PRIYA, "kite", channel)
    await eventually(lambda: asyncio.to_thread(jobs_in, connected_bot, "received"))
    team = str((await connected_bot.client.auth_test())["team_id"])
    rules = connected_bot.parts.governance
    await asyncio.to_thread(rules.change_channel, team, channel, ChannelSettings(), f"{team}/{ADA}")

    connected_bot.start_worker()
    await town.answer(await town.mention(ADA, "wind", channel), channel)

    await all_done(connected_bot, 4)
    assert await town.answers(written, channel) == []


async def test_a_mention_where_the_bot_is_off_tells_only_its_author_who_can_change_that(bot: Bot, town: Town) -> None:
    channel = await invited(town)
    await set_up(town, channel, answers="off")

    asked = await town.mention(PRIYA, "kite", channel)

    (told,) = await eventually(lambda: town.whispers(PRIYA, channel))
    assert told == "I am switched off in this channel. Any member who is not a guest can change that."
    await all_done(bot, 3)
    assert await town.answers(asked, channel) == []
    assert told not in await town.whispers(ADA, channel)


async def test_the_language_and_the_domain_of_a_channel_go_with_its_questions(bot: Bot, town: Town) -> None:
    channel = await invited(town)
    await set_up(town, channel, language="de", domain="hr")

    await town.answer(await town.mention(ADA, "kite", channel), channel)
    await town.answer(await town.mention(ADA, "kite", ASK))

    await all_done(bot, 4)
    here, elsewhere = interactions(bot)
    prompt = bot.parts.settings.model.system_prompt
    assert here.prompt_digest == prompt_digest(build_messages("kite", f"{prompt} Answer in German."))
    assert elsewhere.prompt_digest == prompt_digest(build_messages("kite", prompt))
    assert (here.source["domain"], elsewhere.source["domain"]) == ("hr", "default")


async def test_where_a_channel_names_whom_it_trusts_corrections_of_others_wait(bot: Bot, town: Town) -> None:
    channel = await invited(town)
    await set_up(town, channel, trusted=[PRIYA])
    answer = await town.answer(await town.mention(ADA, "kite", channel), channel)
    await all_done(bot, 3)

    for user, text in ((PRIYA, "Fly it high."), (MARCUS, "Fly it low.")):
        async with town.watch(user):
            await town.press(user, answer, names.CORRECT_ACTION)
            await town.submit(user, await town.view(user), names.CORRECTION_BLOCK, text)

    await all_done(bot, 5)
    with bot.parts.database.read() as session:
        states = {row.text: row.state for row in list_feedback(session)}
    assert states == {"Fly it high.": "accepted", "Fly it low.": "pending_review"}


async def test_a_guest_is_told_that_the_settings_are_not_for_guests(bot: Bot, town: Town) -> None:
    view = await opened(town, GUEST, await invited(town))

    assert "guests cannot change the settings" in str(view["blocks"])


async def test_where_the_policy_names_who_sets_channels_up_nobody_else_does(bot: Bot, town: Town) -> None:
    use_policy(bot, channels={"settings_by": [MARCUS]})
    channel = await invited(town)

    assert "does not let you" in str((await opened(town, ADA, channel))["blocks"])
    await set_up(town, channel, MARCUS, answers="off")
    await town.mention(ADA, "kite", channel)

    (told,) = await eventually(lambda: town.whispers(ADA, channel))
    assert f"<@{MARCUS}> can change that" in told


@pytest.mark.parametrize("user", [GUEST, PRIYA])
async def test_a_form_sent_by_somebody_who_may_not_or_is_not_in_the_channel_changes_nothing(
    bot: Bot, town: Town, user: str
) -> None:
    others = [GUEST] if user == GUEST else []
    made = await town.post("channel", user=ADA, name="small", members=others)
    channel = str(made["channel"]["id"])
    await town.post("invite", user=ADA, channel=channel, other=town.bot)
    team = str((await bot.client.auth_test())["team_id"])

    await store_job(bot.parts, SettingsChange(team, channel, user, "off", "auto", "default", [], "V1"))

    await all_done(bot, 2)
    assert await in_force(bot, channel) == ChannelSettings()
