"""Looking an interaction up, and tracing what it came from and led to, costs the same however many there are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import event, text
from sqlmodel import Session

from storage.database import MIGRATIONS, Database
from storage.feedback import newest_feedback_of, newest_reviewed_by
from storage.interactions import (
    answers_by,
    answers_from,
    answers_to,
    find_by_answer,
    find_by_question,
    get_interaction,
    thread_history,
)
from tests.governance.installation import Installation
from tests.governance.test_watching import answer

LOOKUPS = [
    (find_by_answer, "ix_interaction_answer_ts"),
    (find_by_question, "ix_interaction_question_ts"),
    (thread_history, "ix_interaction_thread_ts"),
]
LINEAGE = [
    (answers_by, "ix_interaction_adapter_digest_created_at"),
    (answers_to, "ix_interaction_asker_id_created_at"),
    (answers_from, "used_feedback"),
    (newest_feedback_of, "ix_feedback_person_id"),
    (newest_reviewed_by, "ix_feedback_reviewed_by"),
]
WHOLE = ("SCAN interaction", "SCAN feedback", "Seq Scan")


@contextmanager
def plans_of(database: Database) -> Iterator[tuple[Session, list[str]]]:
    """Give a session, and how the database looks for what is asked in it."""
    plans: list[str] = []
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "

    def explained(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("SELECT"):
            with database.engine.connect() as other:
                if not database.is_sqlite:  # else an empty table is read whole
                    other.execute(text("SET enable_seqscan = off"))
                plans.append(str(other.exec_driver_sql(explain + statement, parameters).all()))

    with database.read() as session:
        session.connection()
        event.listen(database.engine, "before_cursor_execute", explained)
        yield session, plans
        event.remove(database.engine, "before_cursor_execute", explained)


@pytest.mark.parametrize(("look_up", "index"), LOOKUPS)
def test_a_look_up_by_message_uses_an_index(database: Database, look_up: Callable[..., object], index: str) -> None:
    with plans_of(database) as (session, plans):
        assert not look_up(session, "T1", "C1", "1700000000.000100")
    (plan,) = plans
    assert index in plan


@pytest.mark.parametrize(("look_up", "index"), LINEAGE)
def test_what_a_lineage_asks_uses_an_index(database: Database, look_up: Callable[..., object], index: str) -> None:
    with plans_of(database) as (session, plans):
        assert look_up(session, "something", 10) == ([], 0)
    assert len(plans) == 2
    for plan in plans:
        assert index in plan
        assert not any(whole in plan for whole in WHOLE)


def test_what_answers_rest_on_is_taken_over_by_the_update(database: Database, tmp_path: Path) -> None:
    house = Installation(database, tmp_path)
    asked = [["fb_1", "fb_2", "fb_1"], ["fb_2"], None]
    answers = [answer(house, None, number) for number in range(len(asked))]
    with database.transaction() as session:
        for number, used in enumerate(asked):
            row = get_interaction(session, answers[number])
            row.source = {"how": "examples"} if used is None else {"how": "examples", "feedback": used}
    _downgrade(database, "0039-1")
    database.upgrade()

    with database.read() as session:
        found = {used: answers_from(session, used, None)[1] for used in ("fb_1", "fb_2", "fb_3")}
    assert found == {"fb_1": 1, "fb_2": 2, "fb_3": 0}


def _downgrade(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
