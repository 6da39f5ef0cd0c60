"""What an answer rests on is found from the feedback too, and an adapter's and a person's latest answers at once."""

import sqlalchemy as sa
from alembic import op

from storage.records import JSON_TYPE

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

BATCH = 1_000
USED = sa.table("used_feedback", sa.column("feedback_id"), sa.column("interaction_id"))
ANSWERS = sa.table("interaction", sa.column("id"), sa.column("source", JSON_TYPE))


def upgrade() -> None:
    op.create_table(
        "used_feedback",
        sa.Column("feedback_id", sa.String(), primary_key=True),
        sa.Column("interaction_id", sa.String(), sa.ForeignKey("interaction.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("ix_used_feedback_interaction_id", "used_feedback", ["interaction_id"])
    for column in ("adapter_digest", "asker_id"):
        op.create_index(f"ix_interaction_{column}_created_at", "interaction", [column, "created_at"])
        op.drop_index(f"ix_interaction_{column}", "interaction")
    op.create_index("ix_feedback_reviewed_by", "feedback", ["reviewed_by"])
    _fill()


def _fill() -> None:
    """Take over what the answers that are there rest on."""
    connection, last = op.get_bind(), ""
    while True:
        page = sa.select(ANSWERS).where(ANSWERS.c.id > last).order_by(ANSWERS.c.id).limit(BATCH)
        rows = connection.execute(page).all()
        used = [
            {"feedback_id": feedback_id, "interaction_id": answer_id}
            for answer_id, source in rows
            for feedback_id in dict.fromkeys((source or {}).get("feedback", ()))
        ]
        if used:
            connection.execute(sa.insert(USED), used)
        if len(rows) < BATCH:
            return
        last = rows[-1][0]


def downgrade() -> None:
    op.drop_index("ix_feedback_reviewed_by", "feedback")
    for column in ("asker_id", "adapter_digest"):
        op.create_index(f"ix_interaction_{column}", "interaction", [column])
        op.drop_index(f"ix_interaction_{column}_created_at", "interaction")
    op.drop_table("used_feedback")
