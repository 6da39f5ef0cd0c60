"""Why a correction looks like an attempt to steer the assistant, and what that was seen in besides itself."""

import sqlalchemy as sa
from alembic import op

from storage.records import JSON_TYPE

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feedback", sa.Column("suspected", JSON_TYPE, nullable=True))
    op.add_column("feedback", sa.Column("found_with", JSON_TYPE, nullable=True))


def downgrade() -> None:
    op.drop_column("feedback", "found_with")
    op.drop_column("feedback", "suspected")
