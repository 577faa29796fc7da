"""Identify requests by Envoy's own id, and create the table of the keys that sign feedback tokens.

Rows from before keep the client's request id as their id.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Rename the keys of the three tables of requests, and create `feedback_keys`."""
    for table in ("exposures", "mirrored", "feedback"):
        op.execute(f"ALTER TABLE {table} RENAME COLUMN request_id TO id")
    op.create_table(
        "feedback_keys",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_feedback_keys"),
    )
