"""Workspaces that install the app by themselves, each with its bot's token, encrypted."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime

revision = "0026"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("workspace_id", sa.String(), primary_key=True),
        sa.Column("workspace_name", sa.String(), nullable=False),
        sa.Column("bot_id", sa.String(), nullable=False),
        sa.Column("bot_user_id", sa.String(), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("installed_by", sa.String(), nullable=False),
        sa.Column("installed_at", UtcDateTime(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("installation")
