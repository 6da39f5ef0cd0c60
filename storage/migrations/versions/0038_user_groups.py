"""Slack's user groups that policies name."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime
from storage.records import JSON_TYPE

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "user_group",
        sa.Column("workspace_id", sa.String(), primary_key=True),
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("handle", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("members", JSON_TYPE, nullable=False),
        sa.Column("recorded", JSON_TYPE, nullable=False),
        sa.Column("read_at", UtcDateTime(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("user_group")
