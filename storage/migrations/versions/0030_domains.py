"""Which domain a run, its adapter and feedback belong to; a domain has one serving adapter and one canary at most."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

STATES = ("serving", "canary")


def upgrade() -> None:
    for table in ("run", "adapter", "feedback"):
        op.add_column(table, sa.Column("domain", sa.String(), nullable=False, server_default="default"))
    _only_one_per("domain")


def downgrade() -> None:
    _only_one_per("state")
    for table in ("run", "adapter", "feedback"):
        op.drop_column(table, "domain")


def _only_one_per(column: str) -> None:
    for state in STATES:
        where = sa.text(f"state = '{state}'")
        op.drop_index(f"one_{state}_adapter", "adapter")
        op.create_index(
            f"one_{state}_adapter", "adapter", [column], unique=True, sqlite_where=where, postgresql_where=where
        )
