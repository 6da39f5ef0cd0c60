"""Slack's user groups that the policy names: read at the start, when Slack tells of a change, and every few minutes."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.clients import Clients
from bot.slack.jobs import GroupsChanged, lane_of_groups
from bot.slack.parts import SlackParts
from bot.slack.refusals import error_code, is_passing
from governance.membership import Listed
from storage.inbox import InboxEvent, is_open_before

log = logging.getLogger(__name__)

PAUSE_S = 1.0
READ_AGAIN_S = 300.0
"""Between two readings of which nobody told us; Slack allows 20 a minute."""
RETRY_S = 30.0


class GroupReading:
    """Reads the user groups of all workspaces again and again."""

    def __init__(self, parts: SlackParts, clients: Clients, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._clients = clients
        self._monotonic = monotonic
        self._read: object = None
        self._read_again_at = 0.0
        self._warned: list[str] = []

    async def run(self) -> None:
        """Look and read until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("looking for user groups failed; trying again in %.0f s", RETRY_S)
                await asyncio.sleep(RETRY_S)
            await asyncio.sleep(PAUSE_S)

    async def look(self) -> None:
        """Read what is to be read once its time has come, or at once when the policies name something else."""
        rules = self._parts.governance
        wanted = await asyncio.to_thread(rules.user_groups_to_read)
        policies = (rules.policy.digest, wanted)
        if not wanted:
            return
        if policies != self._read or self._monotonic() >= self._read_again_at:
            self._read, self._read_again_at = policies, self._monotonic() + READ_AGAIN_S
            for team in await self._clients.teams():
                await self._read_one(team)
        await self._warn()

    async def _read_one(self, team: str) -> None:
        try:
            await read_user_groups(self._parts, await self._clients.of(team))
        except Exception:
            log.exception("the user groups of workspace %s could not be read; trying again in %.0f s", team, RETRY_S)
            self._read_again_at = self._monotonic() + RETRY_S

    async def _warn(self) -> None:
        """Say what is wrong with them, once each time that it changes."""
        found = await asyncio.to_thread(self._parts.governance.user_group_warnings)
        for sentence in found if found != self._warned else ():
            log.warning("%s", sentence)
        self._warned = found


class GroupDesk:
    """Reads the user groups of one workspace when Slack told that one of them changed."""

    def __init__(self, parts: SlackParts, client: AsyncWebClient) -> None:
        self._parts = parts
        self._client = client
        self._begun_at: datetime | None = None

    async def read(self, job: GroupsChanged, told_at: datetime) -> None:
        """Read them, unless that was begun after we were told: many events may tell of one change."""
        if self._begun_at is not None and self._begun_at > told_at:
            log.debug("event %s tells of what was read", job.event_id)
            return
        await self._read()

    async def catch_up(self, team: str, event: InboxEvent) -> None:
        """Read them where Slack told of a change before this event came, and the change was not looked at yet."""
        if await asyncio.to_thread(self._is_behind, team, event):
            await self._read()

    async def _read(self) -> None:
        if await asyncio.to_thread(self._parts.governance.user_groups_to_read):
            self._begun_at = await read_user_groups(self._parts, self._client)

    def _is_behind(self, team: str, event: InboxEvent) -> bool:
        assert event.id is not None
        with self._parts.database.read() as session:
            return is_open_before(session, lane_of_groups(team), event.id)


async def read_user_groups(parts: SlackParts, client: AsyncWebClient) -> datetime | None:
    """Read who is in which group of a workspace, and keep it; return when that began, None where Slack does not let us.

    Raises:
        SlackApiError: Slack refuses now, and may not the next time.

    """
    begun_at = parts.clock()
    try:
        team = (await client.auth_test())["team_id"]
        answer = await client.usergroups_list(include_users=True, include_disabled=True)
    except SlackApiError as error:
        if is_passing(error):
            raise
        log.warning("the user groups that the policy names cannot be read: %s", _meaning(error_code(error)))
        return None
    listed = {str(each["id"]): _listed(each) for each in answer["usergroups"]}
    await asyncio.to_thread(parts.governance.keep_user_groups, str(team), listed, begun_at)
    return begun_at


def _listed(group: Mapping[str, Any]) -> Listed:
    return Listed(str(group["handle"]), not group.get("date_delete"), [str(user) for user in group.get("users") or []])


def _meaning(code: str) -> str:
    match code:
        case "missing_scope":
            return "the app has not the scope usergroups:read. Install it again with the manifest of this release."
        case "plan_upgrade_required":
            return "the workspace's plan has no user groups. Name people by their ids."
        case _:
            return f"Slack answers {code}."
