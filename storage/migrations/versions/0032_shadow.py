"""Shadow answers, failures to answer, daily figures; a domain has one adapter in shadow at most."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime
from storage.records import JSON_TYPE

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("adapter", sa.Column("shadow_since", UtcDateTime(), nullable=True))
    where = sa.text("state = 'approved'")
    op.create_index(
        "one_approved_adapter", "adapter", ["domain"], unique=True, sqlite_where=where, postgresql_where=where
    )
    op.create_table(
        "shadow_answer",
        sa.Column("interaction_id", sa.String(), sa.ForeignKey("interaction.id"), primary_key=True),
        sa.Column("adapter_digest", sa.String(), sa.ForeignKey("adapter.digest"), primary_key=True),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("usage", JSON_TYPE, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_shadow_answer_adapter_digest", "shadow_answer", ["adapter_digest"])
    op.create_index("ix_shadow_answer_created_at", "shadow_answer", ["created_at"])
    op.create_table(
        "answer_failure",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("adapter_digest", sa.String(), sa.ForeignKey("adapter.digest"), nullable=True),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_answer_failure_adapter_digest", "answer_failure", ["adapter_digest"])
    op.create_index("ix_answer_failure_created_at", "answer_failure", ["created_at"])
    op.create_table(
        "adapter_day",
        sa.Column("adapter_digest", sa.String(), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("answers", "up", "down", "corrected", "failed")),
        *(
            sa.Column(name, sa.Float(), nullable=True)
            for name in ("seconds_p50", "seconds_p95", "first_token_p50", "first_token_p95")
        ),
    )


def downgrade() -> None:
    op.drop_table("adapter_day")
    op.drop_table("answer_failure")
    op.drop_table("shadow_answer")
    op.drop_index("one_approved_adapter", "adapter")
    op.drop_column("adapter", "shadow_since")
