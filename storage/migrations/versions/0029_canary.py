"""Since when an adapter answers a share of people, which one at most does."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("adapter", sa.Column("canary_since", UtcDateTime(), nullable=True))
    where = sa.text("state = 'canary'")
    op.create_index("one_canary_adapter", "adapter", ["state"], unique=True, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index("one_canary_adapter", "adapter")
    op.drop_column("adapter", "canary_since")
