"""Looking an interaction up costs the same however many there are."""

import pytest
from sqlalchemy import event, text

from storage.database import Database
from storage.interactions import find_by_answer, find_by_question, thread_history

LOOKUPS = [
    (find_by_answer, "ix_interaction_answer_ts"),
    (find_by_question, "ix_interaction_question_ts"),
    (thread_history, "ix_interaction_thread_ts"),
]


@pytest.mark.parametrize(("look_up", "index"), LOOKUPS)
def test_a_look_up_by_message_uses_an_index(database: Database, look_up: object, index: str) -> None:
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
        assert callable(look_up)
        assert not look_up(session, "T1", "C1", "1700000000.000100")
        event.remove(database.engine, "before_cursor_execute", explained)
    (plan,) = plans
    assert index in plan
