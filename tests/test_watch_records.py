from __future__ import annotations

import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from rigdrop.watch import tables
from rigdrop.watch.queue import Queue
from rigdrop.watch.records import Records, pack, unpack

from .watch_values import a_spec
from .watch_workers import database, file, quick  # noqa: F401 (fixtures)

# Any text at all: names of files may hold bytes that are no Unicode, which Python keeps as lone surrogates.
TEXT = st.text(st.characters(), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_what_is_packed_can_be_kept_and_comes_back(value):
    kept = json.dumps(pack(value), ensure_ascii=False).encode("utf-8")
    assert unpack(json.loads(kept)) == value


def test_packing_makes_json_of_what_is_nearly_json():
    assert pack({"a": (1, 2), "b": {"c": ()}}) == {"a": [1, 2], "b": {"c": []}}
    with pytest.raises(TypeError):
        pack({"a": Path("a")})


def test_what_is_unicode_is_kept_as_it_is():
    assert pack({"a": "踊り 🕺", "b": ["é"]}) == {"a": "踊り 🕺", "b": ["é"]}


def test_an_empty_database_has_no_jobs_to_ask_for(file):  # noqa: F811
    engine = file.engine()
    tables.create(engine)
    assert Records(engine).workers() == []
    engine.dispose()


def _claim(queue: Queue, job: str, worker: str, status: str = "PENDING") -> None:
    with queue._records.engine.begin() as connection:
        row = tables.jobs.update().where(tables.jobs.c.workflow_uuid == job)
        connection.execute(row.values(status=status, executor_id=worker, owner_xid=f"run of {worker}", recovery_attempts=2))


def test_only_a_worker_s_own_jobs_are_handed_back(database):  # noqa: F811
    queue = Queue(database, "me", {}, lambda spec, step: {})
    jobs = {name: a_spec(name).job for name in ("mine", "also mine", "theirs", "done", "waits")}
    for name in jobs:
        queue.submit(a_spec(name))
    for name, worker in (("mine", "me"), ("also mine", "me"), ("theirs", "you")):
        _claim(queue, jobs[name], worker)
    _claim(queue, jobs["done"], "me", "SUCCESS")
    records = queue._records
    assert records.last_run_by("me") == {jobs["mine"]: "running", jobs["also mine"]: "running"}
    assert records.run_of(jobs["mine"], "me") == "run of me"
    assert records.run_of(jobs["mine"], "you") is None and records.run_of(jobs["waits"], "me") is None
    assert records.hand_back("me", [jobs["mine"], jobs["theirs"]], refund=False) == {jobs["mine"]}
    assert records.last_run_by("me") == {jobs["mine"]: "waiting", jobs["also mine"]: "running"}
    assert records.hand_back("me") == {jobs["also mine"]}
    assert records.hand_back("me") == set()
    with records.engine.connect() as connection:
        attempts = {row.workflow_uuid: row.recovery_attempts for row in connection.execute(sa.select(tables.jobs))}
    assert (attempts[jobs["mine"]], attempts[jobs["also mine"]]) == (2, 1)
    assert {name: queue.state(job) for name, job in jobs.items()} == {
        "mine": "waiting", "also mine": "waiting", "theirs": "running", "done": "done", "waits": "waiting",
    }
    queue.close()


def test_it_is_known_in_which_queues_jobs_wait(database):  # noqa: F811
    queue = Queue(database, "me", {}, lambda spec, step: {})
    names = ["rigdrop-cpu", "rigdrop-gpu"]
    assert queue._records.waited_in(names) == queue._records.waited_in([]) == set()
    queue.submit(a_spec(device="gpu"))
    assert queue._records.waited_in(names) == {"rigdrop-gpu"}
    _claim(queue, a_spec().job, "me")
    assert queue._records.waited_in(names) == set()
    queue.close()
