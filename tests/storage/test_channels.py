"""Settings of channels: the latest is in force, the earlier ones stay."""

import pytest
from sqlmodel import select

from storage.channels import ChannelChange, ChannelSettings, channel_settings, channels_that_answer_all, set_channel
from storage.database import Database
from storage.people import ensure_person, ensure_workspace
from storage.records import utc_now


@pytest.fixture
def known(database: Database) -> Database:
    with database.transaction() as session:
        for team in ("T1", "T2"):
            ensure_workspace(session, team, team, utc_now())
            ensure_person(session, team, "U1", "Ada", utc_now())
    return database


def change(database: Database, channel: str, settings: ChannelSettings, team: str = "T1") -> None:
    with database.transaction() as session:
        set_channel(session, team, channel, settings, f"{team}/U1", utc_now())


def test_the_latest_settings_of_a_channel_are_in_force_and_the_earlier_ones_are_kept(known: Database) -> None:
    latest = ChannelSettings("off", "de", "hr", ("U1", "U2"))
    change(known, "C1", ChannelSettings(answers="all"))
    change(known, "C1", latest)
    change(known, "C1", ChannelSettings(domain="other"), "T2")

    with known.read() as session:
        assert channel_settings(session, "T1", "C1") == latest
        assert channel_settings(session, "T1", "C2") == ChannelSettings()
        assert [row.answers for row in session.exec(select(ChannelChange))] == ["all", "off", "mentions"]


def test_a_channel_answers_all_until_it_is_set_otherwise(known: Database) -> None:
    for channel in ("C1", "C2"):
        change(known, channel, ChannelSettings(answers="all"))
    change(known, "C1", ChannelSettings(answers="all"), "T2")
    change(known, "C1", ChannelSettings())

    with known.read() as session:
        assert channels_that_answer_all(session) == {("T1", "C2"), ("T2", "C1")}
