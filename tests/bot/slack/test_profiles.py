"""Names, time zones and standing from Slack's profiles: what is kept, and when it is read again."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.slack.directory import Directory
from bot.slack.profiles import home_of, profile_of
from bot.workspace.state import Workspace
from storage.people import Person, Profile, get_person, person_id
from storage.records import utc_now
from tests.bot.slack.conftest import ADA, MARCUS, Bot, Message, Town, eventually
from tests.bot.slack.proposing import proposed

USER = {"id": "U1", "team_id": "T1", "name": "ada", "real_name": "Ada Lindgren", "tz": "Asia/Tokyo"}


@pytest.mark.parametrize(
    ("changes", "profile"),
    [
        ({}, Profile("Ada Lindgren", "Asia/Tokyo")),
        ({"profile": {"display_name": "Ada L."}}, Profile("Ada L.", "Asia/Tokyo")),
        ({"profile": {"display_name": ""}, "real_name": ""}, Profile("ada", "Asia/Tokyo")),
        ({"tz": None}, Profile("Ada Lindgren", "UTC")),
        ({"tz": "Mars/Olympus_Mons"}, Profile("Ada Lindgren", "UTC")),
        ({"is_restricted": True}, Profile("Ada Lindgren", "Asia/Tokyo", "guest")),
        ({"is_ultra_restricted": True}, Profile("Ada Lindgren", "Asia/Tokyo", "guest")),
        ({"is_bot": True}, Profile("Ada Lindgren", "Asia/Tokyo", "bot")),
        ({"id": "USLACKBOT"}, Profile("Ada Lindgren", "Asia/Tokyo", "bot")),
        ({"team_id": "T2"}, Profile("Ada Lindgren", "Asia/Tokyo", "external")),
        ({"team_id": "T2", "enterprise_user": {"teams": ["T2", "T1"]}}, Profile("Ada Lindgren", "Asia/Tokyo")),
    ],
)
def test_a_profile_is_read_as_slack_means_it(changes: dict[str, Any], profile: Profile) -> None:
    assert profile_of({**USER, **changes}, "T1") == profile


def test_somebody_belongs_to_their_own_workspace() -> None:
    assert home_of({**USER, "team_id": "T2"}, "T1") == "T2"
    assert home_of({**USER, "team_id": "T2", "enterprise_user": {"teams": ["T1"]}}, "T1") == "T1"


async def test_a_changed_name_or_time_zone_arrives_within_a_day(bot: Bot, workspace: Workspace, town: Town) -> None:
    now = utc_now()
    directory = Directory(bot.client, bot.parts.database, lambda: now)

    async def met() -> Person:
        key = await directory.person(workspace.team_id, ADA)
        with bot.parts.database.read() as session:
            return get_person(session, key)

    first = await met()
    workspace.members[ADA] = replace(workspace.members[ADA], display_name="Ada Berg", time_zone="Europe/Stockholm")
    assert (await met()).name == first.name == "Ada Lindgren"

    now += timedelta(days=1)
    later = await met()
    assert (later.name, later.time_zone) == ("Ada Berg", "Europe/Stockholm")


async def test_home_says_since_when_an_adapter_answers_in_the_readers_time_zone(bot: Bot, town: Town) -> None:
    proposal, team = await proposed(bot)
    await asyncio.to_thread(bot.parts.governance.decide, proposal, person_id(team, MARCUS), "approve")
    await bot.parts.serving.sync()

    await town.post("opened", user=ADA, tab="home")

    async def published() -> Message | None:
        return (await town.http.get("client/home", params={"user": ADA})).json()["view"]

    view = await eventually(published)
    assert view is not None
    assert "since <!date^" in str(view["blocks"])
