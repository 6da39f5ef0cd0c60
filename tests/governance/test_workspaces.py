"""Workspaces that install the app and remove it: what is kept, what is closed, what the audit log says."""

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from storage import inbox
from storage.database import Database
from storage.inbox import Arrival, InboxEvent
from storage.installations import Installation, list_installations
from storage.records import utc_now
from tests.governance.installation import Installation as House

NOW = utc_now()


@pytest.fixture
def house(database: Database, tmp_path: Path) -> House:
    return House(database, tmp_path)


def of(workspace: str, token: str = "sealed") -> Installation:
    return Installation(
        workspace_id=workspace,
        workspace_name="Northwind",
        bot_id="B1",
        bot_user_id="UBOT",
        scopes="chat:write",
        token=token,
        installed_by=f"{workspace}/U1",
        installed_at=NOW,
    )


def kept(database: Database) -> list[tuple[str, str]]:
    with database.read() as session:
        return [(row.workspace_id, row.token) for row in list_installations(session)]


def waiting(database: Database) -> dict[str, tuple[str, str]]:
    with database.read() as session:
        return {row.key: (row.state, row.error) for row in session.exec(select(InboxEvent))}


def asked(database: Database, key: str, workspace: str, at: datetime) -> None:
    with database.transaction() as session:
        inbox.receive(session, [Arrival(key, "question", "", {"team": workspace}, at)])


def test_a_second_installation_takes_the_place_of_the_first(house: House, database: Database) -> None:
    house.governance.install_workspace(of("T1", "first"))
    house.governance.install_workspace(of("T2"))
    house.governance.install_workspace(of("T1", "second"))
    assert sorted(kept(database)) == [("T1", "second"), ("T2", "sealed")]


def test_a_removal_forgets_the_token_and_closes_what_waits_for_that_workspace_only(
    house: House, database: Database
) -> None:
    for workspace in ("T1", "T2"):
        house.governance.install_workspace(of(workspace))
        asked(database, f"before/{workspace}", workspace, NOW)
    asked(database, "after/T1", "T1", NOW + timedelta(hours=2))

    house.governance.uninstall_workspace("T1", NOW + timedelta(hours=1))

    assert kept(database) == [("T2", "sealed")]
    assert waiting(database) == {
        "before/T1": ("failed", "its workspace removed the app"),
        "before/T2": ("received", ""),
        "after/T1": ("received", ""),
    }


def test_a_removal_that_is_older_than_the_installation_changes_nothing(house: House, database: Database) -> None:
    house.governance.install_workspace(of("T1"))
    records = len(house.log())

    house.governance.uninstall_workspace("T1", NOW - timedelta(hours=1))

    assert kept(database) == [("T1", "sealed")]
    assert len(house.log()) == records


def test_both_are_in_the_audit_log_with_who_did_it(house: House) -> None:
    house.governance.install_workspace(of("T1"))
    house.governance.uninstall_workspace("T1", NOW + timedelta(hours=1))
    told = [(record["action"], record["object"], record["actor"]) for record in map(json.loads, house.log())]
    assert told == [("workspace.installed", "T1", "T1/U1"), ("workspace.uninstalled", "T1", "system")]
