"""Workspaces and the people in them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel, select

from storage.errors import NotFoundError
from storage.records import time_field

Known = TypeVar("Known", "Workspace", "Person")
Standing = Literal["member", "guest", "external", "bot"]


@dataclass(frozen=True)
class Profile:
    """What a workspace says of a person: the name they go by, their IANA time zone, and what they are there.

    A `guest` was invited to some channels, somebody `external` belongs to another organisation that shares a channel.
    """

    name: str
    time_zone: str = "UTC"
    standing: Standing = "member"


class Workspace(SQLModel, table=True):
    """One Slack workspace; `id` is Slack's team id."""

    id: str = Field(primary_key=True)
    name: str
    created_at: datetime = time_field()


class Person(SQLModel, table=True):
    """One person of one workspace; `id` is `<team id>/<user id>`, and `standing` one of those of `Profile`.

    `no_news_since` is when they said that they do not want to be told of what went live (None: they are told),
    `erased_at` when all that they had said until then was erased.
    """

    id: str = Field(primary_key=True)
    workspace_id: str = Field(foreign_key="workspace.id", index=True)
    slack_user_id: str
    name: str
    time_zone: str = "UTC"
    standing: str = Field(default="member", sa_column_kwargs={"server_default": "member"})
    created_at: datetime = time_field()
    no_news_since: datetime | None = time_field(optional=True)
    erased_at: datetime | None = time_field(optional=True)


def person_id(workspace_id: str, slack_user_id: str) -> str:
    """Compose the key of a person."""
    return f"{workspace_id}/{slack_user_id}"


def ensure_workspace(session: Session, workspace_id: str, name: str, now: datetime) -> Workspace:
    """Return the workspace, stored on first sight; a new name replaces the old one."""
    workspace = session.get(Workspace, workspace_id) or _insert(
        session, Workspace(id=workspace_id, name=name, created_at=now)
    )
    workspace.name = name
    session.add(workspace)
    session.flush()
    return workspace


def ensure_person(session: Session, workspace_id: str, slack_user_id: str, name: str, now: datetime) -> Person:
    """Return the person, stored on first sight; a new name replaces the old one."""
    key = person_id(workspace_id, slack_user_id)
    person = session.get(Person, key) or _insert(
        session, Person(id=key, workspace_id=workspace_id, slack_user_id=slack_user_id, name=name, created_at=now)
    )
    person.name = name
    session.add(person)
    session.flush()
    return person


def keep_profile(session: Session, workspace_id: str, slack_user_id: str, profile: Profile, now: datetime) -> Person:
    """Store what a workspace says of a person, in place of what it said before; the workspace is stored already."""
    person = ensure_person(session, workspace_id, slack_user_id, profile.name, now)
    person.time_zone, person.standing = profile.time_zone, profile.standing
    session.add(person)
    session.flush()
    return person


def _insert(session: Session, row: Known) -> Known:
    """Add a row; when somebody else does so at the same moment, return theirs."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        theirs = session.get(type(row), row.id)
        assert theirs is not None
        return theirs
    return row


def names_of(session: Session, person_ids: list[str]) -> dict[str, str]:
    """Map each known person id to the person's name."""
    people = session.exec(select(Person).where(Person.id.in_(person_ids)))  # type: ignore[attr-defined]
    return {person.id: person.name for person in people}


def workspaces(session: Session) -> list[Workspace]:
    """Return all workspaces, by their ids."""
    return list(session.exec(select(Workspace).order_by(Workspace.id)))


def standing_of(session: Session, key: str) -> str:
    """Return what somebody is in their workspace (`Profile`); of whom nothing is known, "member"."""
    found = session.get(Person, key)
    return found.standing if found else "member"


def get_person(session: Session, key: str) -> Person:
    """Return the person with this id, or raise NotFoundError."""
    found = session.get(Person, key)
    if found is None:
        raise NotFoundError(f"there is no person {key}.")
    return found


def choose_news(session: Session, key: str, now: datetime, *, wanted: bool) -> None:
    """Keep whether a person wants to be told when their corrections go live."""
    person = get_person(session, key)
    person.no_news_since = None if wanted else person.no_news_since or now
    session.add(person)


def find_person(session: Session, reference: str) -> Person:
    """Return the person with this id, or the only one with this Slack user id.

    Raises:
        NotFoundError: there is none, or the user id is known in several workspaces.

    """
    exact = session.get(Person, reference)
    if exact is not None:
        return exact
    matches = session.exec(select(Person).where(Person.slack_user_id == reference)).all()
    if not matches:
        raise NotFoundError(f"nobody with the Slack user id {reference} has used the bot yet.")
    if len(matches) > 1:
        keys = ", ".join(person.id for person in matches)
        raise NotFoundError(f"{reference} is in several workspaces; name one of {keys}.")
    return matches[0]
