"""What is wrong with an answer that was voted down."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("feedback", sa.Column("reason", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("feedback", "reason")
