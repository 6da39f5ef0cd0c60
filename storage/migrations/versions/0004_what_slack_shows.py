"""What Slack shows of a proposal; indexes for finding an interaction by its question and by its thread."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("proposal", sa.Column("shown_state", sa.String(), nullable=True))
    op.add_column("proposal", sa.Column("shown_decisions", sa.Integer(), nullable=True))
    op.create_index("ix_interaction_question_ts", "interaction", ["question_ts"])
    op.create_index("ix_interaction_thread_ts", "interaction", ["thread_ts"])


def downgrade() -> None:
    op.drop_index("ix_interaction_thread_ts", "interaction")
    op.drop_index("ix_interaction_question_ts", "interaction")
    op.drop_column("proposal", "shown_decisions")
    op.drop_column("proposal", "shown_state")
