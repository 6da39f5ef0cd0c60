"""Makes a workspace: a new one from a few lines, or the one that a file keeps."""

import json
from collections.abc import Iterable
from pathlib import Path

from bot.workspace.model import AppDefinition, Channel, Member, Message, UserGroup
from bot.workspace.state import Workspace
from storage.errors import ArtifactError
from storage.records import Clock, utc_now

TEAM_ID = "TLOCAL"

__all__ = ["AppDefinition", "Channel", "Member", "load_workspace", "make_workspace"]


def make_workspace(
    team_name: str,
    members: Iterable[Member],
    channels: Iterable[Channel],
    app: AppDefinition,
    clock: Clock = utc_now,
) -> Workspace:
    """Make a workspace without messages; the app's bot is a member of each channel."""
    return Workspace(TEAM_ID, team_name, members, channels, app, clock)


def load_workspace(file: Path, app: AppDefinition, clock: Clock = utc_now) -> Workspace:
    """Read what `Workspace.persist` kept.

    Raises:
        ArtifactError: the file cannot be read.

    """
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        members = [Member(**member) for member in kept["members"]]
        channels = [Channel(**{**channel, "members": tuple(channel["members"])}) for channel in kept["channels"]]
        workspace = Workspace(kept["team_id"], kept["team_name"], members, channels, app, clock)
        workspace.restore(Message(**message) for message in kept["messages"])
        groups = (UserGroup(**{**group, "users": tuple(group["users"])}) for group in kept.get("user_groups", []))
        workspace.user_groups = {group.id: group for group in groups}
        workspace.homes = kept["homes"]
        workspace.undelivered = kept["unacknowledged"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"the local workspace in {file} cannot be read: {error}. Move that file away.") from error
    return workspace
