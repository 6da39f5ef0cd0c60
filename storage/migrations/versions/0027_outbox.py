"""Calls to Slack that are owed; the lane of an inbox event, so that one that waits for another is not claimed."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime
from storage.records import JSON_TYPE

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outbox_call",
        sa.Column("id", sa.Integer(), primary_key=True, nullable=False),
        sa.Column("key", sa.String(), nullable=False, unique=True),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("arguments", JSON_TYPE, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("result", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
    )
    op.create_index("ix_outbox_call_state_lane", "outbox_call", ["state", "lane", "id"])
    # What waits during an upgrade is in one lane, and so handled in the order in which it came.
    op.add_column("inbox_event", sa.Column("lane", sa.String(), nullable=False, server_default=sa.text("''")))
    op.drop_index("ix_inbox_event_state", "inbox_event")
    op.create_index("ix_inbox_event_state_id", "inbox_event", ["state", "id"])
    op.create_index("ix_inbox_event_lane_state_id", "inbox_event", ["lane", "state", "id"])


def downgrade() -> None:
    op.drop_index("ix_inbox_event_lane_state_id", "inbox_event")
    op.drop_index("ix_inbox_event_state_id", "inbox_event")
    op.create_index("ix_inbox_event_state", "inbox_event", ["state"])
    op.drop_column("inbox_event", "lane")
    op.drop_table("outbox_call")
