"""Reviews in Slack: their messages, the reviewer's reason; the reminders that were given of a proposal."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feedback", sa.Column("reviewer_reason", sa.String(), nullable=True))
    op.create_index("ix_feedback_reviewed_at", "feedback", ["reviewed_at"])
    op.add_column("proposal", sa.Column("reminded_hours", sa.Float(), nullable=True))
    op.create_table(
        "review_message",
        sa.Column("feedback_id", sa.String(), sa.ForeignKey("feedback.id"), primary_key=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("message_ts", sa.String(), nullable=False),
        sa.Column("shown_state", sa.String(), nullable=True),
        sa.Column("posted_at", UtcDateTime(), nullable=True),
        sa.Column("told_at", UtcDateTime(), nullable=True),
    )
    op.create_index("ix_review_message_posted_at", "review_message", ["posted_at"])
    op.execute(  # what was decided before authors were told of decisions is no news
        "INSERT INTO review_message (feedback_id, channel, message_ts, told_at) "
        "SELECT id, '', '', reviewed_at FROM feedback WHERE reviewed_at IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_table("review_message")
    op.drop_column("proposal", "reminded_hours")
    op.drop_index("ix_feedback_reviewed_at", "feedback")
    op.drop_column("feedback", "reviewer_reason")
