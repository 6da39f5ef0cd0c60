"""What an answer rests on: the model alone, worked examples, or an accepted correction itself."""

import sqlalchemy as sa
from alembic import op

from storage.records import JSON_TYPE

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("interaction", sa.Column("source", JSON_TYPE, nullable=False, server_default="{}"))
    with op.batch_alter_table("interaction") as table:  # the code always says what it is
        table.alter_column("source", server_default=None)


def downgrade() -> None:
    op.drop_column("interaction", "source")
