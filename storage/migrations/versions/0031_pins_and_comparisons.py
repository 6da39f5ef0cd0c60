"""Who is pinned to which adapter, and the comparisons of two answers."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime
from storage.records import JSON_TYPE

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pin",
        sa.Column("subject", sa.String(), primary_key=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("adapter_digest", sa.String(), sa.ForeignKey("adapter.digest"), nullable=True),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("pinned_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_pin_adapter_digest", "pin", ["adapter_digest"])
    op.create_table(
        "blind_comparison",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("person_id", sa.String(), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("a_id", sa.String(), sa.ForeignKey("interaction.id", ondelete="CASCADE"), nullable=False),
        sa.Column("b_id", sa.String(), sa.ForeignKey("interaction.id", ondelete="CASCADE"), nullable=False),
        sa.Column("a_adapter", sa.String(), sa.ForeignKey("adapter.digest"), nullable=True),
        sa.Column("b_adapter", sa.String(), sa.ForeignKey("adapter.digest"), nullable=True),
        sa.Column("preferred", sa.String(), nullable=True),
        sa.Column("feedback_ids", JSON_TYPE, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("chosen_at", UtcDateTime(), nullable=True),
    )
    for column in ("person_id", "a_id", "b_id"):
        op.create_index(f"ix_blind_comparison_{column}", "blind_comparison", [column])


def downgrade() -> None:
    op.drop_table("blind_comparison")
    op.drop_table("pin")
