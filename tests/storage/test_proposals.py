"""Which messages of proposals say something that is not so any more."""

from datetime import UTC, datetime

import pytest
from sqlmodel import Session

from storage.adapters import Adapter, find_adapter
from storage.database import Database
from storage.proposals import Proposal, get_proposal, note_shown, stands_at, undrawn_proposals

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def add(session: Session, name: str, state: str, adapter_state: str) -> None:
    session.add(Adapter(digest=name, state=adapter_state, domain=name, base_digest="base", created_at=NOW))
    session.flush()
    session.add(
        Proposal(
            id=name, adapter_digest=name, dataset_digest="", report_digest="", policy_digest="", started_by="",
            state=state, created_at=NOW, expires_at=NOW,
        )
    )  # fmt: skip
    session.flush()


def undrawn(session: Session) -> list[str]:
    return [each.id for each in undrawn_proposals(session)]


@pytest.mark.parametrize("after", ["rolled_back", "retired"])
def test_the_message_of_an_approved_proposal_tells_of_its_adapter(database: Database, after: str) -> None:
    with database.transaction() as session:
        add(session, "live", "approved", "serving")
        add(session, "no", "rejected", "rejected")
        assert undrawn(session) == []  # no message shows them
        for name in ("live", "no"):
            state = stands_at(get_proposal(session, name), find_adapter(session, name))
            note_shown(session, name, "C1", "1.1", state, 0)
        assert undrawn(session) == []

        find_adapter(session, "live").state = after
        assert undrawn(session) == ["live"]


def test_a_proposal_that_waits_is_to_be_posted(database: Database) -> None:
    with database.transaction() as session:
        add(session, "waits", "open", "proposed")
        assert undrawn(session) == ["waits"]
        note_shown(session, "waits", "C1", "1.1", "open", 0)
        assert undrawn(session) == []
