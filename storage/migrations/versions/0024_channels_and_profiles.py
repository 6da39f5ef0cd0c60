"""How the bot behaves in each channel, and what people are in their workspace."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime
from storage.records import JSON_TYPE

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "channel_change",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("answers", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("domain", sa.String(), nullable=False),
        sa.Column("trusted", JSON_TYPE, nullable=False),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["workspace_id"], ["workspace.id"]),
        sa.ForeignKeyConstraint(["changed_by"], ["person.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("workspace_id", "channel"):
        op.create_index(op.f(f"ix_channel_change_{column}"), "channel_change", [column])
    op.add_column("person", sa.Column("standing", sa.String(), nullable=False, server_default="member"))


def downgrade() -> None:
    op.drop_column("person", "standing")
    op.drop_table("channel_change")
