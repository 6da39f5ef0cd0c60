"""Who sent an event, and where, so that questions can be counted by person and by channel."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox_event", sa.Column("person", sa.String(), nullable=True))
    op.add_column("inbox_event", sa.Column("place", sa.String(), nullable=True))
    op.create_index("ix_inbox_event_person_received_at", "inbox_event", ["person", "received_at"])
    op.create_index("ix_inbox_event_place_received_at", "inbox_event", ["place", "received_at"])


def downgrade() -> None:
    op.drop_index("ix_inbox_event_place_received_at", "inbox_event")
    op.drop_index("ix_inbox_event_person_received_at", "inbox_event")
    op.drop_column("inbox_event", "place")
    op.drop_column("inbox_event", "person")
