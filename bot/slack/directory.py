"""Who is who and where in the workspace: asked of Slack once, kept from then on."""

import asyncio

from slack_sdk.web.async_client import AsyncWebClient

from storage.database import Database
from storage.people import ensure_person, ensure_workspace, person_id
from storage.records import Clock

PAGE = 200


class Directory:
    """Names of people and channels of the workspace that `client` is signed in to."""

    def __init__(self, client: AsyncWebClient, database: Database, clock: Clock) -> None:
        self._client = client
        self._database = database
        self._clock = clock
        self._known: set[str] = set()
        self._private: dict[str, bool] = {}
        self._channels: dict[str, str] = {}

    async def person(self, team: str, user: str) -> str:
        """Return the id under which the database knows this person, who is stored there on first sight."""
        key = person_id(team, user)
        if key not in self._known:
            profile = (await self._client.users_info(user=user))["user"]
            signed_in = await self._client.auth_test()
            name = profile.get("real_name") or profile.get("name") or user
            await asyncio.to_thread(self._store, team, str(signed_in["team"]), user, name)
            self._known.add(key)
        return key

    async def is_private(self, channel: str) -> bool:
        """Whether only some members of the workspace can read this channel."""
        if channel not in self._private:
            found = (await self._client.conversations_info(channel=channel))["channel"]
            self._private[channel] = any(found.get(kind) for kind in ("is_im", "is_mpim", "is_private"))
        return self._private[channel]

    async def channel(self, name: str) -> str | None:
        """Return the id of the channel with this name that the bot can see; None when there is none."""
        if name not in self._channels:
            pages = await self._client.conversations_list(
                types="public_channel,private_channel", exclude_archived=True, limit=PAGE
            )
            async for page in pages:
                self._channels.update({found["name"]: found["id"] for found in page["channels"]})
        return self._channels.get(name.removeprefix("#"))

    def _store(self, team: str, team_name: str, user: str, name: str) -> None:
        with self._database.transaction() as session:
            ensure_workspace(session, team, team_name, self._clock())
            ensure_person(session, team, user, name, self._clock())
