"""Why feedback was sent to review, what it contradicts, and who decided on it when."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime
from storage.records import JSON_TYPE

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feedback", sa.Column("review_reason", sa.String(), nullable=True))
    op.add_column("feedback", sa.Column("contradicts", JSON_TYPE, nullable=True))
    op.add_column("feedback", sa.Column("reviewed_by", sa.String(), nullable=True))
    op.add_column("feedback", sa.Column("reviewed_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    for column in ("reviewed_at", "reviewed_by", "contradicts", "review_reason"):
        op.drop_column("feedback", column)
