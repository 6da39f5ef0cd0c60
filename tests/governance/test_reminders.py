"""When a reminder of a proposal is due: the proposal is open for seven days."""

import pytest

from governance.reminders import Reminder
from storage.proposals import note_reminded
from tests.governance.installation import APPROVER, Installation


def remind(house: Installation) -> list[float]:
    """Give what is due, and note that."""
    due = house.governance.due_reminders()
    with house.database.transaction() as session:
        for reminder in due:
            note_reminded(session, reminder.proposal_id, reminder.hours)
    return [reminder.hours for reminder in due]


def test_each_is_due_once_from_its_moment_on(house: Installation) -> None:
    proposal = house.proposed()
    given = []
    for hours in (0, 143, 144, 145, 165, 166, 167.99, 168, 200):
        house.clock.now = proposal.created_at
        house.clock.advance(hours=hours)
        given.append(remind(house))

    assert given == [[], [], [24.0], [], [], [2.0], [], [], []]


def test_until_it_is_noted_it_stays_due(sqlite_house: Installation) -> None:
    proposal = sqlite_house.proposed()
    sqlite_house.clock.advance(days=6)

    assert [sqlite_house.governance.due_reminders() for _ in range(2)] == [[Reminder("adapter", proposal.id, 24.0)]] * 2


def test_a_decided_proposal_reminds_nobody(sqlite_house: Installation) -> None:
    proposal = sqlite_house.proposed()
    sqlite_house.clock.advance(days=6)
    sqlite_house.governance.decide(proposal.id, APPROVER, "approve")

    assert sqlite_house.governance.due_reminders() == []


@pytest.mark.parametrize(("hours_before", "due"), [([], []), ([24], []), ([23], [23.0])])
def test_a_reminder_of_the_whole_time_or_none_is_never_due(
    sqlite_house: Installation, hours_before: list[float], due: list[float]
) -> None:
    sqlite_house.use_policy(approval={"expiry_days": 1, "remind_hours_before": hours_before})
    sqlite_house.proposed()
    sqlite_house.clock.advance(hours=2)

    assert remind(sqlite_house) == due
