"""User groups of the local workspace, as Slack's clients and Bolt see them."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from bot.workspace.people import ActionRefusedError
from bot.workspace.seed import load_workspace
from tests.bot.workspace.conftest import EVENTS, SCOPES, Town, definition

READ = "usergroups:read"
CHANGES = ("subteam_created", "subteam_updated", "subteam_members_changed")
PATIENCE = 10


@pytest.fixture
def told(town: Town) -> Town:
    """The workspace with an app that may read user groups and is told of their changes."""
    town.workspace.app = replace(definition(SCOPES | {READ}), events=EVENTS | {*CHANGES})
    return town


def error_of(caught: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(caught.value.response["error"])


async def test_user_groups_are_listed_with_what_was_asked_for(told: Town) -> None:
    group = told.people.create_user_group("UADA", "leads", "Team leads", ["UBOB"])
    off = told.people.create_user_group("UADA", "old", "Former leads", ["UADA"])
    told.people.switch_user_group("UADA", off.id, on=False)

    (plain,) = (await told.client().usergroups_list())["usergroups"]
    assert (plain["id"], plain["handle"], plain["name"]) == (group.id, "leads", "Team leads")
    assert (plain["team_id"], plain["date_delete"], plain["deleted_by"]) == (told.workspace.team_id, 0, None)
    assert not {"users", "user_count"} & {*plain}
    listed = await told.client().usergroups_list(include_users=True, include_count=True, include_disabled=True)
    full, gone = listed["usergroups"]
    assert (full["users"], full["user_count"]) == (["UBOB"], 1)
    assert gone["date_delete"] > 0
    assert gone["deleted_by"] == "UADA"


async def test_the_users_of_one_group_are_listed(told: Town) -> None:
    group = told.people.create_user_group("UADA", "leads", "Team leads", ["UBOB", "UADA"])
    assert (await told.client().usergroups_users_list(usergroup=group.id))["users"] == ["UBOB", "UADA"]
    told.people.switch_user_group("UADA", group.id, on=False)
    for key in (group.id, "S0"):
        with pytest.raises(SlackApiError) as caught:
            await told.client().usergroups_users_list(usergroup=key)
        assert error_of(caught) == "no_such_subteam"
    answer = await told.client().usergroups_users_list(usergroup=group.id, include_disabled=True)
    assert answer["users"] == ["UBOB", "UADA"]


async def test_without_its_scope_nothing_is_listed(town: Town) -> None:
    with pytest.raises(SlackApiError) as caught:
        await town.client().usergroups_list()
    assert error_of(caught) == "missing_scope"


async def test_the_app_is_told_of_a_new_group_and_of_who_came_and_left(told: Town) -> None:
    app, seen = AsyncApp(client=told.client()), asyncio.Queue[dict[str, Any]]()
    for kind in CHANGES:
        app.event(kind)(seen_by(seen))
    async with told.running(app):
        group = told.people.create_user_group("UADA", "leads", "Team leads", ["UBOB"])
        told.people.set_user_group("UADA", group.id, ["UADA"])
        told.people.switch_user_group("UADA", group.id, on=False)
        events = [await asyncio.wait_for(seen.get(), PATIENCE) for _ in range(4)]
    by_kind = {each["type"]: each for each in events if each["type"] != "subteam_updated"}
    assert by_kind["subteam_created"]["subteam"]["users"] == ["UBOB"]
    changed = by_kind["subteam_members_changed"]
    assert (changed["subteam_id"], changed["team_id"]) == (group.id, told.workspace.team_id)
    assert (changed["added_users"], changed["removed_users"]) == (["UADA"], ["UBOB"])
    assert (changed["added_users_count"], changed["removed_users_count"]) == (1, 1)
    updated = [each["subteam"] for each in events if each["type"] == "subteam_updated"]
    assert all((each["users"], each["user_count"]) == (["UADA"], 1) for each in updated)
    assert sorted(bool(each["date_delete"]) for each in updated) == [False, True]


def seen_by(seen: "asyncio.Queue[dict[str, Any]]") -> Any:
    async def note(event: dict[str, Any]) -> None:
        await seen.put(event)

    return note


async def test_what_is_not_possible_is_refused(told: Town) -> None:
    told.people.create_user_group("UADA", "leads", "Team leads")
    with pytest.raises(ActionRefusedError, match="has that handle"):
        told.people.create_user_group("UADA", "leads", "Other leads")
    with pytest.raises(ActionRefusedError, match="no such user group"):
        told.people.set_user_group("UADA", "S0", ["UBOB"])


async def test_user_groups_outlive_a_restart(told: Town, tmp_path: Path) -> None:
    group = told.people.create_user_group("UADA", "leads", "Team leads", ["UBOB"])
    told.workspace.persist(tmp_path / "workspace.json")
    told.workspace.save()
    assert load_workspace(tmp_path / "workspace.json", told.workspace.app).user_groups == {group.id: group}
