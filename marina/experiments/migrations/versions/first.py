"""Create the first tables, with triggers that keep the table of changes append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER changes_{what} BEFORE {what} ON changes"
        " BEGIN SELECT RAISE(ABORT, 'changes is append-only'); END",
    ),
    "postgresql": (
        "CREATE OR REPLACE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'changes is append-only'; END $$",
        "CREATE TRIGGER changes_{what} BEFORE {what} ON changes EXECUTE FUNCTION append_only()",
    ),
}


def upgrade() -> None:
    """Create the tables of `marina.experiments.database`."""
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("experiment", sa.String, nullable=False),
        sa.Column("after", sa.Integer, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("why", sa.String, nullable=False),
        sa.Column("restored", sa.Integer),
        sa.Column("state", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_changes"),
        sa.UniqueConstraint("experiment", "after", name="uq_changes"),
    )
    for statement in APPEND_ONLY[op.get_context().dialect.name]:
        for what in ("UPDATE", "DELETE"):
            op.execute(statement.format(what=what))
    op.create_table(
        "exposures",
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("experiment", sa.String, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("unit", sa.String, nullable=False),
        sa.Column("assigned", sa.String, nullable=False),
        sa.Column("variant", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Double),
        sa.Column("prediction", sa.JSON),
        sa.PrimaryKeyConstraint("request_id", name="pk_exposures"),
    )
    op.create_index("ix_exposures_experiment_at", "exposures", ["experiment", "at"])
    op.create_table(
        "mirrored",
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("experiment", sa.String, nullable=False),
        sa.Column("variant", sa.String, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Double),
        sa.Column("prediction", sa.JSON),
        sa.PrimaryKeyConstraint("request_id", name="pk_mirrored"),
    )
    op.create_index("ix_mirrored_experiment_at", "mirrored", ["experiment", "at"])
    op.create_table(
        "feedback",
        sa.Column("request_id", sa.String, nullable=False),
        sa.Column("received", sa.Double, nullable=False),
        sa.Column("reward", sa.Double),
        sa.Column("label", sa.String),
        sa.Column("status", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_feedback"),
    )
    op.create_index("ix_feedback_status", "feedback", ["status"])
    op.create_table(
        "readings",
        sa.Column("name", sa.String, nullable=False),
        sa.Column("identity", sa.String, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_readings"),
    )
