"""Who is who and where in the workspace: asked of Slack, kept for a day."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

from slack_sdk.web.async_client import AsyncWebClient

from bot.slack.profiles import home_of, profile_of
from storage.database import Database
from storage.people import Profile, Workspace, ensure_workspace, keep_profile, person_id
from storage.records import Clock

PAGE = 200
REFRESH_AFTER = timedelta(days=1)
"""When a person's profile is read again, so that a changed name or time zone arrives."""


@dataclass(frozen=True)
class _Met:
    person: str
    at: datetime


class Directory:
    """Names of people and channels of the workspace that `client` is signed in to."""

    def __init__(self, client: AsyncWebClient, database: Database, clock: Clock) -> None:
        self._client = client
        self._database = database
        self._clock = clock
        self._met: dict[tuple[str, str], _Met] = {}
        self._private: dict[str, bool] = {}
        self._channels: dict[str, str] = {}

    async def person(self, team: str, user: str) -> str:
        """Return the id under which the database knows this person, whose profile is stored there.

        Somebody of another organisation has an id with the workspace of that organisation.
        """
        met = self._met.get((team, user))
        if met is None or self._clock() - met.at >= REFRESH_AFTER:
            met = self._met[team, user] = await self._meet(user)
        return met.person

    async def is_private(self, channel: str) -> bool:
        """Whether only some members of the workspace can read this channel."""
        if channel not in self._private:
            found = (await self._client.conversations_info(channel=channel))["channel"]
            self._private[channel] = any(found.get(kind) for kind in ("is_im", "is_mpim", "is_private"))
        return self._private[channel]

    async def is_member(self, channel: str, user: str) -> bool:
        """Whether somebody is in a channel now."""
        async for page in await self._client.conversations_members(channel=channel, limit=PAGE):
            if user in page["members"]:
                return True
        return False

    async def channel(self, name: str) -> str | None:
        """Return the id of the channel with this name that the bot can see; None when there is none."""
        if name not in self._channels:
            pages = await self._client.conversations_list(
                types="public_channel,private_channel", exclude_archived=True, limit=PAGE
            )
            async for page in pages:
                self._channels.update({found["name"]: found["id"] for found in page["channels"]})
        return self._channels.get(name.removeprefix("#"))

    async def _meet(self, user: str) -> _Met:
        """Read a profile. Whose workspace this is says Slack, not the job: a stranger's click may name their own."""
        now = self._clock()
        found = (await self._client.users_info(user=user))["user"]
        signed_in = await self._client.auth_test()
        here = str(signed_in["team_id"])
        home, profile = home_of(found, here), profile_of(found, here)
        await asyncio.to_thread(self._store, (here, str(signed_in["team"])), home, user, profile, now)
        return _Met(person_id(home, user), now)

    def _store(self, here: tuple[str, str], home: str, user: str, profile: Profile, now: datetime) -> None:
        with self._database.transaction() as session:
            ensure_workspace(session, *here, now)
            if session.get(Workspace, home) is None:  # its name is not for us to read
                ensure_workspace(session, home, home, now)
            keep_profile(session, home, user, profile, now)
