"""Slack's user groups that policies name, as they were last read from there."""

from datetime import datetime
from typing import Literal

from sqlmodel import Field, Session, SQLModel, col, select

from storage.records import json_field, time_field

GroupState = Literal["enabled", "disabled", "unknown"]


class UserGroup(SQLModel, table=True):
    """A user group of a workspace; `id` is Slack's, `state` a `GroupState`: `unknown` is what the workspace has not.

    `members` are ids of people in Slack's order, none of a group that is not enabled. `read_at` is when the reading
    began that found them. `recorded` are the members that the audit log tells of.
    """

    __tablename__ = "user_group"

    workspace_id: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    handle: str = ""
    state: str
    members: list[str] = json_field(list)
    recorded: list[str] = json_field(list)
    read_at: datetime = time_field()


def list_user_groups(session: Session, workspace_id: str | None = None) -> list[UserGroup]:
    """Return the user groups of one workspace, or of all, by their ids."""
    query = select(UserGroup).order_by(col(UserGroup.id), col(UserGroup.workspace_id))
    return list(session.exec(query if workspace_id is None else query.where(UserGroup.workspace_id == workspace_id)))


def find_user_group(session: Session, workspace_id: str, group_id: str) -> UserGroup | None:
    """Return a user group of a workspace; None when it was never read."""
    return session.get(UserGroup, (workspace_id, group_id))


def remove_user_groups(session: Session, workspace_id: str) -> None:
    """Forget the user groups of a workspace."""
    for group in list_user_groups(session, workspace_id):
        session.delete(group)
    session.flush()
