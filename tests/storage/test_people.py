"""Workspaces and people, stored on first sight."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.database import Database
from storage.errors import NotFoundError
from storage.people import (
    Person,
    Profile,
    ensure_person,
    ensure_workspace,
    find_person,
    get_person,
    keep_profile,
    names_of,
)
from storage.records import utc_now


def meet(database: Database, name: str, workspace: str = "T1") -> Person:
    with database.transaction() as session:
        ensure_workspace(session, workspace, "Made up", utc_now())
        return ensure_person(session, workspace, "U1", name, utc_now())


def test_a_person_is_kept_once_under_the_newest_name(database: Database) -> None:
    meet(database, "Ada")
    assert meet(database, "Ada Lovelace").id == "T1/U1"
    with database.read() as session:
        assert names_of(session, ["T1/U1", "T1/U2"]) == {"T1/U1": "Ada Lovelace"}


def test_the_latest_profile_of_a_person_is_kept(database: Database) -> None:
    meet(database, "Ada")
    for profile in (Profile("Ada L.", "Asia/Tokyo", "guest"), Profile("Ada Berg", "Europe/Stockholm")):
        with database.transaction() as session:
            keep_profile(session, "T1", "U1", profile, utc_now())
    with database.read() as session:
        ada = get_person(session, "T1/U1")
        assert (ada.name, ada.time_zone, ada.standing) == ("Ada Berg", "Europe/Stockholm", "member")


def test_meeting_somebody_in_many_threads_at_once_keeps_them_once(database: Database) -> None:
    with ThreadPoolExecutor(8) as pool:
        met = list(pool.map(lambda _: meet(database, "Ada"), range(8)))
    assert {person.id for person in met} == {"T1/U1"}


def test_a_slack_user_id_finds_its_person_unless_two_workspaces_know_it(database: Database) -> None:
    meet(database, "Ada")
    with database.read() as session:
        assert find_person(session, "U1").id == find_person(session, "T1/U1").id == "T1/U1"
        with pytest.raises(NotFoundError, match="nobody"):
            find_person(session, "U9")
    meet(database, "Another Ada", "T2")
    with database.read() as session, pytest.raises(NotFoundError, match="T1/U1, T2/U1"):
        find_person(session, "U1")
