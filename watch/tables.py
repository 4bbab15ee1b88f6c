"""The tables: three of our own, and what we read of those that dbos keeps beside them.

On PostgreSQL all of them are in one schema, ``rigdrop``; in a SQLite file there is nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

SCHEMA = "rigdrop"
_LOCK = 7_164_367_1  # PostgreSQL's advisory lock under which tables are made, so that workers that start together don't collide

_metadata = sa.MetaData()

workers = sa.Table(
    "rigdrop_workers", _metadata,
    sa.Column("worker", sa.Text, primary_key=True),
    sa.Column("token", sa.Text, nullable=False),  # of this one run of it
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("process", sa.Text, nullable=False),  # tells the process from a later one with the same number
    sa.Column("lease_ms", sa.BigInteger, nullable=False),
    sa.Column("beat_ms", sa.BigInteger, nullable=False),  # by the database's clock, since 1970
    sa.Column("taken_by", sa.Text),  # who takes over the jobs of this one, which died
)
progress = sa.Table(
    "rigdrop_progress", _metadata,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("total", sa.BigInteger),
)
crashes = sa.Table(
    "rigdrop_crashes", _metadata,
    sa.Column("job", sa.Text, primary_key=True),
    sa.Column("count", sa.BigInteger, nullable=False),
)

# Of dbos' own tables the columns that we use; tests/test_watch_dbos.py looks that they are there and mean this.
_theirs = sa.MetaData()
jobs = sa.Table(
    "workflow_status", _theirs,
    sa.Column("workflow_uuid", sa.Text, primary_key=True),
    sa.Column("status", sa.Text),
    sa.Column("queue_name", sa.Text),
    sa.Column("executor_id", sa.Text),
    sa.Column("owner_xid", sa.Text),  # tells one run of a job from the next
    sa.Column("recovery_attempts", sa.BigInteger),
    sa.Column("created_at", sa.BigInteger),  # these four in milliseconds since 1970
    sa.Column("updated_at", sa.BigInteger),
    sa.Column("started_at_epoch_ms", sa.BigInteger),
    sa.Column("completed_at", sa.BigInteger),
)
inputs = sa.Table("workflow_input", _theirs, sa.Column("workflow_uuid", sa.Text, primary_key=True), sa.Column("inputs", sa.Text))
outputs = sa.Table(
    "workflow_output", _theirs,
    sa.Column("workflow_uuid", sa.Text, primary_key=True), sa.Column("output", sa.Text), sa.Column("error", sa.Text),
)
steps = sa.Table(
    "operation_outputs", _theirs,
    sa.Column("workflow_uuid", sa.Text, primary_key=True),
    sa.Column("function_id", sa.Integer, primary_key=True),
    sa.Column("function_name", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("started_at_epoch_ms", sa.BigInteger),
    sa.Column("completed_at_epoch_ms", sa.BigInteger),
)


def scoped(engine: sa.Engine) -> sa.Engine:
    """Return ``engine`` with the tables above where they are; it shares its connections."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(schema_translate_map={None: SCHEMA})


def create(engine: sa.Engine) -> None:
    """Make our own tables where they are missing, and the schema that dbos' own will be in."""
    with engine.begin() as connection:
        if engine.dialect.name != "sqlite":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            connection.execute(sa.schema.CreateSchema(SCHEMA, if_not_exists=True))
        for table in _metadata.sorted_tables:
            connection.execution_options(**scoped(engine).get_execution_options())
            connection.execute(sa.schema.CreateTable(table, if_not_exists=True))


def there_are_jobs(engine: sa.Engine) -> bool:
    """Tell whether dbos has made its tables in this database."""
    schema = None if engine.dialect.name == "sqlite" else SCHEMA
    return sa.inspect(engine).has_table(outputs.name, schema=schema)  # one of the last that it makes


def now_ms(engine: sa.Engine) -> sa.ColumnElement[int]:
    """Return the database's own clock as an expression: milliseconds since 1970."""
    if engine.dialect.name == "sqlite":
        return sa.cast((sa.func.julianday("now") - 2440587.5) * 86_400_000.0, sa.BigInteger)
    return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()) * 1000, sa.BigInteger)


def upsert(engine: sa.Engine, table: sa.Table, values: Mapping[str, Any], update: Mapping[str, Any]) -> sa.Insert:
    """Return the statement that adds a row to ``table``, or makes ``update`` to the one with the same key."""
    insert = (sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert)(table).values(**values)
    return insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=dict(update))
