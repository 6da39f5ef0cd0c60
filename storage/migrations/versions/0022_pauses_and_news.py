"""Whether training is paused; who does not want to be told of what went live."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pause",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("paused_by", sa.String(), nullable=False),
        sa.Column("paused_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.add_column("person", sa.Column("no_news_since", UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("person", "no_news_since")
    op.drop_table("pause")
