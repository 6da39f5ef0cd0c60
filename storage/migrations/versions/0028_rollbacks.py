"""Rollbacks, each with its reason and the figures that it rests on."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime
from storage.records import JSON_TYPE

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rollback",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("adapter_digest", sa.String(), sa.ForeignKey("adapter.digest"), nullable=False),
        sa.Column("restored_digest", sa.String(), sa.ForeignKey("adapter.digest"), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("figures", JSON_TYPE, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_rollback_adapter_digest", "rollback", ["adapter_digest"])
    op.create_index("ix_rollback_created_at", "rollback", ["created_at"])


def downgrade() -> None:
    op.drop_table("rollback")
