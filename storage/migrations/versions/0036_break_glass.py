"""Promotions without their quorum."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "break_glass",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("proposal_id", sa.String(), sa.ForeignKey("proposal.id"), nullable=False, unique=True),
        sa.Column("adapter_digest", sa.String(), sa.ForeignKey("adapter.digest"), nullable=False),
        sa.Column("dataset_digest", sa.String(), nullable=False),
        sa.Column("report_digest", sa.String(), nullable=False),
        sa.Column("policy_digest", sa.String(), nullable=False),
        sa.Column("person_id", sa.String(), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("told", sa.String(), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("confirm_by", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=True),
    )
    op.create_index("ix_break_glass_adapter_digest", "break_glass", ["adapter_digest"])
    op.create_index("ix_break_glass_state", "break_glass", ["state"])


def downgrade() -> None:
    op.drop_table("break_glass")
