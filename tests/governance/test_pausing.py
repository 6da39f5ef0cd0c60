"""Who may start training, pause it and resume it, and what a pause keeps from happening."""

import json

import pytest

from governance.errors import NotEntitledError, PauseLengthError, TrainingPausedError
from storage.errors import IllegalStateError
from storage.runs import list_runs
from tests.governance.installation import APPROVER, EXPERT, OTHER, STARTER, Installation


def queue(house: Installation) -> str:
    return house.governance.queue_run(started_by=STARTER, recipe="default", base_digest="base").id


def last_actions(house: Installation, count: int) -> list[tuple[str, str]]:
    records = [json.loads(body) for body in house.log()]
    return [(record["action"], record["actor"]) for record in records[-count:]]


def test_whoever_may_approve_may_start_training_and_nobody_else(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(approval={"approvers": [APPROVER]})
    rules = sqlite_house.governance
    assert rules.may_start_training(APPROVER) == rules.may_start_training("operator:kim") == ""
    assert "does not let you start" in rules.may_start_training(OTHER)
    for steer in (rules.pause_training, rules.resume_training):
        with pytest.raises(NotEntitledError, match="does not let you start, pause or resume"):
            steer(OTHER)


def test_the_policy_can_name_others_who_start_training(sqlite_house: Installation) -> None:
    sqlite_house.use_policy(approval={"approvers": [APPROVER]}, training={"starters": [EXPERT]})
    assert sqlite_house.governance.may_start_training(EXPERT) == ""
    assert sqlite_house.governance.may_start_training(APPROVER) != ""


def test_while_training_is_paused_no_run_is_queued_and_the_log_says_who_paused_it(house: Installation) -> None:
    house.governance.pause_training(APPROVER)
    with pytest.raises(TrainingPausedError, match="paused training until somebody resumes it"):
        queue(house)
    assert "resume" in house.governance.may_start_training(STARTER)
    house.governance.resume_training(OTHER)
    queue(house)
    assert last_actions(house, 3) == [
        ("training.paused", APPROVER),
        ("training.resumed", OTHER),
        ("run.queued", STARTER),
    ]


def test_a_pause_ends_by_itself_and_a_later_one_replaces_it(house: Installation) -> None:
    house.governance.pause_training(APPROVER, 8)
    house.governance.pause_training(APPROVER, 2)
    house.clock.advance(hours=1)
    with pytest.raises(TrainingPausedError, match=r"until 2026-01-01 02:00 UTC"):
        queue(house)
    house.clock.advance(hours=1)
    queue(house)
    with pytest.raises(IllegalStateError, match="not paused"):
        house.governance.resume_training(APPROVER)


def test_a_run_that_was_interrupted_goes_on_during_a_pause(sqlite_house: Installation) -> None:
    run = queue(sqlite_house)
    sqlite_house.governance.start_run(run, "snapshot", 1, {})
    sqlite_house.governance.finish_run(run, "interrupted")
    sqlite_house.governance.pause_training(APPROVER)
    assert sqlite_house.governance.resume_run(run).state == "running"


@pytest.mark.parametrize("hours", [0, -1, 8_761, float("inf"), float("nan")])
def test_a_pause_of_no_length_that_makes_sense_is_refused_and_nothing_is_paused(
    sqlite_house: Installation, hours: float
) -> None:
    with pytest.raises(PauseLengthError, match="at most 8,760"):
        sqlite_house.governance.pause_training(APPROVER, hours)
    queue(sqlite_house)
    with sqlite_house.database.read() as session:
        assert len(list_runs(session)) == 1
