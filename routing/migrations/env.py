"""Alembic runs this; the connection, and the transaction around it, are routing.database's."""

from alembic import context

from routing.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
