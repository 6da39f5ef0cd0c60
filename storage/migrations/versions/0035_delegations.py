"""Votes that are handed to somebody else, and in whose name a decision was made."""

import sqlalchemy as sa
from alembic import op

from storage.database import UtcDateTime

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "delegation",
        sa.Column("delegator", sa.String(), sa.ForeignKey("person.id"), primary_key=True),
        sa.Column("delegate", sa.String(), sa.ForeignKey("person.id"), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=False),
    )
    op.create_index("ix_delegation_delegate", "delegation", ["delegate"])
    whose = sa.ForeignKey("person.id", name="decision_on_behalf_of_fkey")
    with op.batch_alter_table("decision") as table:
        table.add_column(sa.Column("on_behalf_of", sa.String(), whose, nullable=True))
        table.create_unique_constraint("one_decision_on_behalf_of_a_person", ["proposal_id", "on_behalf_of"])


def downgrade() -> None:
    with op.batch_alter_table("decision") as table:
        table.drop_constraint("one_decision_on_behalf_of_a_person", type_="unique")
        table.drop_column("on_behalf_of")
    op.drop_index("ix_delegation_delegate", "delegation")
    op.drop_table("delegation")
