"""When training is due next."""

from datetime import UTC, datetime

import pytest

from learning.scheduler import next_time


@pytest.mark.parametrize(
    ("cron", "due"), [("0 2 * * *", datetime(2026, 1, 2, 2, tzinfo=UTC)), ("", None)], ids=["each night", "never"]
)
def test_the_next_training_is_named_where_there_is_a_schedule(cron: str, due: datetime | None) -> None:
    assert next_time(cron, datetime(2026, 1, 1, 2, 30, tzinfo=UTC)) == due
