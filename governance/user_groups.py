"""Whom a list of the policy names: everybody, people by their ids, and the members of Slack's user groups.

Who is in a group is what was last read from Slack and kept, so that nothing here needs the network. A group that was
never read, or not for `LASTING`, names nobody.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from storage.people import standing_of
from storage.user_groups import UserGroup, list_user_groups

EVERYBODY = "*"
GROUP = re.compile(r"(?:[A-Z0-9]+/)?S[A-Z0-9]+")
"""How a user group is named: by Slack's id, as people are, with the workspace's before it or without."""
LASTING = timedelta(hours=12)
"""How long what was read counts: longer than a restart or an outage, and no longer than from one working day to the
next, so that nobody decides in the morning who was taken out the evening before."""


def is_group(entry: str) -> bool:
    """Tell whether an entry of a list means a user group; the ids of people begin otherwise."""
    return GROUP.fullmatch(entry) is not None


@dataclass(frozen=True)
class UserGroups:
    """The user groups that were read; whether that is too long ago is judged at `now` (None: it never is)."""

    found: Sequence[UserGroup] = ()
    now: datetime | None = None

    @property
    def as_last_read(self) -> "UserGroups":
        """The same, however long ago they were read."""
        return replace(self, now=None)

    def members(self, entry: str) -> list[str]:
        """Return the ids of those whom a group names, in Slack's order."""
        read = (group for group in self._of(entry, "enabled") if not self._is_old(group))
        return list(dict.fromkeys(person for group in read for person in group.members))

    def why_nobody(self, entry: str) -> str:
        """Say why a group names nobody, in a sentence; empty when it names somebody."""
        if self.members(entry):
            return ""
        words = f"The {self.in_words(entry)}"
        if enabled := self._of(entry, "enabled"):
            read_at = max(group.read_at for group in enabled)
            if not all(map(self._is_old, enabled)):
                return f"{words} has no members."
            return (
                f"{words} was last read from Slack on {read_at:%Y-%m-%d %H:%M} UTC. That is more than "
                f"{LASTING // timedelta(hours=1)} hours ago, so it names nobody until it is read again."
            )
        if self._of(entry, "disabled"):
            return f"{words} is disabled in Slack, so it names nobody."
        if self._of(entry, "unknown"):
            return f"Slack knows no {self.in_words(entry)}, so it names nobody."
        return f"{words} was never read from Slack, so it names nobody; `apprentice up` reads it."

    def in_words(self, entry: str) -> str:
        """Name a group as people know it."""
        handle = next((group.handle for group in self._of(entry, "enabled", "disabled") if group.handle), "")
        return f"user group @{handle} ({entry})" if handle else f"user group {entry}"

    def is_known(self, entry: str) -> bool:
        """Tell whether it was read, not too long ago, who is in a group."""
        rows = self._of(entry, "enabled", "disabled", "unknown")
        return bool(rows) and not all(map(self._is_old, rows))

    def _of(self, entry: str, *states: str) -> list[UserGroup]:
        workspace, _, key = entry.rpartition("/")
        return [
            each
            for each in self.found
            if each.id == key and each.state in states and workspace in {"", each.workspace_id}
        ]

    def _is_old(self, group: UserGroup) -> bool:
        return self.now is not None and group.read_at + LASTING <= self.now


@dataclass(frozen=True)
class Principal:
    """Somebody as the rules see them; `standing` is `Person.standing`, `groups` are all that were read."""

    id: str
    standing: str = "member"
    groups: UserGroups = UserGroups()


def read_groups(session: Session, now: datetime) -> UserGroups:
    """Return the user groups as they count now."""
    return UserGroups(list_user_groups(session), now)


def read_principal(session: Session, person_id: str, now: datetime) -> Principal:
    """Return somebody as the rules see them now; of whom nothing is known, as a member."""
    return Principal(person_id, standing_of(session, person_id), read_groups(session, now))


def names(people: Sequence[str], person_id: str, groups: UserGroups) -> bool:
    """Tell whether a list names a person: by `*`, person id, the Slack user id in it, or a group that they are in."""
    return (
        EVERYBODY in people
        or person_id in people
        or person_id.rpartition("/")[2] in people
        or any(person_id in groups.members(each) for each in people if is_group(each))
    )


def people_in(people: Iterable[str], groups: UserGroups) -> list[str]:
    """Return those whom a list names, each group replaced by its members; `*` stays as it is."""
    return [person for each in people for person in (groups.members(each) if is_group(each) else [each])]


def count_people(people: Sequence[str], groups: UserGroups, but: str = "") -> int | None:
    """Count those whom a list names besides one; None when it names everybody, or nobody knows who is in a group."""
    if EVERYBODY in people or not all(groups.is_known(each) for each in people if is_group(each)):
        return None
    return len({person.rpartition("/")[2] for person in people_in(people, groups)} - {but.rpartition("/")[2]})


def people_in_words(people: Sequence[str], groups: UserGroups = UserGroups()) -> str:
    """Say whom a list names."""
    if EVERYBODY in people:
        return "every member"
    return ", ".join(f"the {groups.in_words(each)}" if is_group(each) else each for each in dict.fromkeys(people))


def troubles(people: Iterable[str], groups: UserGroups) -> list[str]:
    """Say which groups of a list name nobody, and why."""
    return [why for each in dict.fromkeys(people) if is_group(each) and (why := groups.why_nobody(each))]
