"""What a message in Slack shows for people to decide on: where it is shown, and whether that message still is true."""

from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import SQLModel, and_, col, or_


class ShownInSlack(SQLModel):
    """Columns of a row with a `state` that a message shows.

    `channel` and `message_ts` say where Slack shows it, once it does; `shown_state` and `shown_decisions` (a count)
    what that message says (None: unknown). That state is the row's, unless the table says otherwise.
    """

    channel: str = ""
    message_ts: str = ""
    shown_state: str | None = None
    shown_decisions: int | None = None

    def note_shown(self, channel: str, ts: str, state: str | None, decisions: int | None) -> None:
        """Note which message shows it, and which state and how many decisions that tells of (None: unknown)."""
        self.channel, self.message_ts = channel, ts
        self.shown_state, self.shown_decisions = state, decisions


def is_undrawn(row: type[ShownInSlack], state: Any, waiting: str, decisions: ColumnElement[int]) -> ColumnElement[bool]:
    """Tell of rows which no message shows yet while they wait for decisions, or whose message says something else.

    `state` is the state that a message tells of, `waiting` its value while people decide, `decisions` how many have.
    """
    missing = and_(col(row.message_ts) == "", state == waiting)
    outdated = or_(
        col(row.shown_state).is_distinct_from(state),
        col(row.shown_decisions).is_distinct_from(decisions),
    )
    return or_(missing, and_(col(row.message_ts) != "", outdated))
