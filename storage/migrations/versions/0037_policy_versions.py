"""Versions of the policy, and what people decided on them."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_version",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("under_digest", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("message_ts", sa.String(), nullable=False),
        sa.Column("shown_state", sa.String(), nullable=True),
        sa.Column("shown_decisions", sa.Integer(), nullable=True),
    )
    for column in ("digest", "state", "created_at"):
        op.create_index(f"ix_policy_version_{column}", "policy_version", [column])
    where = sa.text("state = 'in_force'")
    op.create_index(
        "one_policy_in_force", "policy_version", ["state"], unique=True, sqlite_where=where, postgresql_where=where
    )
    op.create_table(
        "policy_decision",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("version_id", sa.String(), sa.ForeignKey("policy_version.id"), nullable=False),
        sa.Column("person_id", sa.String(), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.UniqueConstraint("version_id", "person_id", name="one_policy_decision_a_person"),
    )
    op.create_index("ix_policy_decision_version_id", "policy_decision", ["version_id"])


def downgrade() -> None:
    op.drop_table("policy_decision")
    op.drop_table("policy_version")
