"""What was found of personal data in feedback, and by which rules; adapters whose files were erased."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime
from storage.records import JSON_TYPE

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feedback", sa.Column("masked", JSON_TYPE, nullable=True))
    op.add_column("feedback", sa.Column("set_aside", JSON_TYPE, nullable=True))
    op.add_column("feedback", sa.Column("checked_by", sa.String(), nullable=True))
    op.create_index("ix_feedback_checked_by", "feedback", ["checked_by"])
    op.add_column("adapter", sa.Column("erased_at", UtcDateTime(), nullable=True))
    op.add_column("person", sa.Column("erased_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("person", "erased_at")
    op.drop_column("adapter", "erased_at")
    op.drop_index("ix_feedback_checked_by", "feedback")
    op.drop_column("feedback", "checked_by")
    op.drop_column("feedback", "set_aside")
    op.drop_column("feedback", "masked")
