"""Of policies: withdrawals, reminders, decisions in somebody's name, and since when the first one is in force."""

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("policy_version") as table:
        table.add_column(sa.Column("withdrawn_reason", sa.String(), nullable=True))
        table.add_column(sa.Column("reminded_hours", sa.Float(), nullable=True))
    op.execute("UPDATE policy_version SET decided_at = created_at WHERE under_digest = '' AND decided_at IS NULL")
    whose = sa.ForeignKey("person.id", name="policy_decision_on_behalf_of_fkey")
    with op.batch_alter_table("policy_decision") as table:
        table.add_column(sa.Column("on_behalf_of", sa.String(), whose, nullable=True))
        table.create_unique_constraint("one_policy_decision_on_behalf_of_a_person", ["version_id", "on_behalf_of"])


def downgrade() -> None:
    with op.batch_alter_table("policy_decision") as table:
        table.drop_constraint("one_policy_decision_on_behalf_of_a_person", type_="unique")
        table.drop_column("on_behalf_of")
    with op.batch_alter_table("policy_version") as table:
        table.drop_column("reminded_hours")
        table.drop_column("withdrawn_reason")
