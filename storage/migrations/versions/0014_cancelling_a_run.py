"""Who asked for a run to be cancelled, and why; the loss curve that a run leaves."""

import sqlalchemy as sa
from alembic import op

from storage.records import JSON_TYPE

revision = "0014"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("run", sa.Column("cancelled_by", sa.String(), nullable=True))
    op.add_column("run", sa.Column("cancel_reason", sa.String(), nullable=True))
    op.add_column("run", sa.Column("curve", JSON_TYPE, nullable=True))


def downgrade() -> None:
    op.drop_column("run", "curve")
    op.drop_column("run", "cancel_reason")
    op.drop_column("run", "cancelled_by")
