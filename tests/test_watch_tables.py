from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from rigdrop.watch import tables

from .watch_workers import database, file, quick  # noqa: F401 (fixtures)


def test_several_may_make_the_tables_at_once(database):  # noqa: F811
    engines, errors = [database.engine() for _ in range(4)], []

    def create(engine):
        try:
            tables.create(engine)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=create, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert not tables.there_are_jobs(engines[0])
    schema = None if database.is_sqlite else tables.SCHEMA
    assert set(sa.inspect(engines[0]).get_table_names(schema)) == {"rigdrop_workers", "rigdrop_progress", "rigdrop_crashes"}
    for engine in engines:
        engine.dispose()


def test_the_database_s_clock_tells_milliseconds(database):  # noqa: F811
    engine = database.engine()
    with engine.connect() as connection:
        told = [connection.execute(sa.select(tables.now_ms(engine))).scalar_one() for _ in range(50)]
    engine.dispose()
    assert told == sorted(told) and len(set(told)) > 1
    assert told[-1] == pytest.approx(time.time() * 1000, abs=60_000)


def test_a_row_is_added_once_and_then_changed(database):  # noqa: F811
    engine = database.engine()
    tables.create(engine)
    table = tables.crashes
    for _ in range(3):
        with tables.scoped(engine).begin() as connection:
            connection.execute(tables.upsert(engine, table, {"job": "a", "count": 1}, {"count": table.c.count + 1}))
    with tables.scoped(engine).connect() as connection:
        assert connection.execute(sa.select(table)).all() == [("a", 3)]
    engine.dispose()
