"""Environment of the migrations: Alembic runs this file.

`marina.experiments.database.connect` passes the connection, in a transaction of its own: a migration that fails leaves
the database as it was. There is no alembic.ini; to write a migration after a change of the tables, compare them with a
database through `database.alembic_config`:

    from alembic import command

    with connect(url).begin() as connection:
        command.revision(alembic_config(connection), "what changes", autogenerate=True)
"""

from alembic import context

from marina.experiments.database import Base

if context.is_offline_mode():
    raise RuntimeError("migrations need a connection: use marina.experiments.database.connect")
context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
