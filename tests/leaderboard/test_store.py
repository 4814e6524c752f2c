"""The store loses nothing, shows nothing half, and never changes a run."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard import record
from benchmarks.leaderboard.record import UnreadableRecord
from benchmarks.leaderboard.store import Store
from toy_records import begin_in_a_dead_process, commit, done, make


def test_a_committed_run_is_read_back_with_hashed_side_files(tmp_path):
    store = Store(tmp_path / "results")
    folder = commit(store)
    (found,) = store.records()
    assert folder == tmp_path / "results" / "ctr" / "run-1"
    assert sorted(path.name for path in folder.iterdir()) == ["log.txt", "record.json"]
    assert [(file.name, file.bytes) for file in found.files] == [("log.txt", 5)]
    assert found.primary.value == 0.5
    assert store.read_file(found, "log.txt") == store.read_file("run-1", "log.txt") == b"hello"
    assert not any(store.drafts.iterdir())


def test_an_empty_store_has_no_records_and_reading_creates_nothing(tmp_path):
    store = Store(tmp_path / "nothing")
    assert list(store.records()) == []
    assert store.find("key") is None
    assert store.recover() == []
    assert not (tmp_path / "nothing").exists()


def test_records_are_filtered_by_task_and_status(tmp_path):
    store = Store(tmp_path)
    commit(store, "a")
    commit(store, "b", status="failed")
    commit(store, "c", task="medseg")
    assert [found.run_id for found in store.records(task="ctr")] == ["a", "b"]
    assert [found.run_id for found in store.records(status="ok")] == ["a", "c"]
    assert list(store.records(task="none")) == []


def test_find_gives_the_latest_ok_record_of_a_key(tmp_path):
    store = Store(tmp_path)
    commit(store, "old", key="k")
    commit(store, "new", key="k", created_utc="2026-02-01T00:00:00+00:00")
    commit(store, "broken", key="k", status="failed", created_utc="2026-03-01T00:00:00+00:00")
    assert store.find("k").run_id == "new"
    assert store.find("other") is None


def test_a_run_id_is_never_used_twice(tmp_path):
    store = Store(tmp_path)
    commit(store)
    with pytest.raises(BenchmarkError, match="exists already"):
        store.begin(make())
    store.begin(make("run-2"))
    with pytest.raises(BenchmarkError, match="exists already"):
        store.begin(make("run-2"))


def test_a_run_committed_meanwhile_is_not_replaced(tmp_path):
    store = Store(tmp_path)
    draft = store.begin(make())
    other = tmp_path / "ctr" / "run-1"
    other.mkdir(parents=True)
    (other / "record.json").write_bytes(record.encode(done(make(), value=0.9)))
    with pytest.raises(BenchmarkError, match="never replaced"):
        draft.commit(done(make()))
    assert store.get("run-1").primary.value == 0.9


def test_nan_is_refused_and_the_draft_can_still_be_committed(tmp_path):
    store = Store(tmp_path)
    draft = store.begin(make())
    with pytest.raises(ValueError, match="finite"):
        draft.commit(done(make(), value=float("nan")))
    assert list(store.records()) == []
    draft.commit(done(make(), status="failed", value=None))
    assert [found.status for found in store.records()] == ["failed"]


def test_a_draft_takes_only_its_own_finished_record(tmp_path):
    draft = Store(tmp_path).begin(make())
    with pytest.raises(ValueError, match="draft of run run-1"):
        draft.commit(done(make("run-2")))
    with pytest.raises(ValueError, match="still running"):
        draft.commit(make())


def test_names_that_would_leave_the_store_are_refused(tmp_path):
    for changes in ({"task": "../ctr"}, {"key": "a/b"}, {"task": ".draft"}):
        with pytest.raises(ValueError, match="cannot name a folder"):
            Store(tmp_path).begin(make(**changes))


def test_a_discarded_draft_leaves_nothing(tmp_path):
    store = Store(tmp_path)
    store.begin(make()).discard()
    assert list(store.drafts.iterdir()) == []
    assert store.recover() == []


def test_a_discarded_draft_leaves_its_checkpoints_to_the_next_start(tmp_path):
    store = Store(tmp_path)
    draft = store.begin(make())
    (draft.folder / "checkpoints").mkdir()
    (draft.folder / "checkpoints" / "last.ckpt").write_bytes(b"hours")
    draft.discard()
    assert list(store.drafts.iterdir()) == []
    assert (store.resume_folder(make().key) / "last.ckpt").read_bytes() == b"hours"


def test_an_unwritable_place_is_one_clear_error_at_the_start(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchmarkError, match="store=PATH") as caught:
        Store(tmp_path / "file" / "results").begin(make())
    assert str(tmp_path / "file" / "results") in str(caught.value)


def test_a_read_only_folder_is_one_clear_error(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    store = Store(tmp_path)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(BenchmarkError, match=r"Permission denied.*store=PATH"):
        store.begin(make())


def test_a_full_disk_leaves_no_half_record_and_no_half_draft(tmp_path, monkeypatch):
    store = Store(tmp_path)
    draft = store.begin(make())
    real = os.fsync

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BenchmarkError, match=r"No space left.*store=PATH"):
        draft.commit(done(make()))
    with pytest.raises(BenchmarkError, match="No space left"):
        store.begin(make("run-2"))
    assert [path.name for path in store.drafts.iterdir()] == ["run-1"]
    assert [path.name for path in draft.folder.iterdir()] == ["draft.json"]
    monkeypatch.setattr(os, "fsync", real)
    draft.commit(done(make()))
    assert [found.status for found in store.records()] == ["ok"]


def test_an_unreadable_record_is_named_and_never_skipped(tmp_path):
    store = Store(tmp_path)
    folder = commit(store)
    (folder / "record.json").write_text("{")
    with pytest.raises(UnreadableRecord, match=r"run-1/record\.json"):
        list(store.records())


def test_records_of_an_older_schema_are_upgraded(tmp_path, monkeypatch):
    store = Store(tmp_path)
    commit(store)

    newer = record.SCHEMA + 1

    def rename_seed(plain):
        return plain | {"schema": newer, "seed": plain["seed"] + 100}

    monkeypatch.setattr(record, "SCHEMA", newer)
    monkeypatch.setitem(record.UPGRADES, newer - 1, rename_seed)
    (found,) = store.records()
    assert (found.schema, found.seed) == (newer, 100)


def test_a_record_of_a_newer_schema_is_refused(tmp_path):
    store = Store(tmp_path)
    path = commit(store) / "record.json"
    path.write_text(path.read_text().replace(f'"schema": {record.SCHEMA}', '"schema": 99'))
    with pytest.raises(UnreadableRecord, match="schema 99"):
        list(store.records())


def test_folder_takes_an_id_or_a_path_and_names_the_nearest_id(tmp_path):
    store = Store(tmp_path)
    folder = commit(store, "svd-seed0")
    assert store.folder("svd-seed0") == store.folder(str(folder)) == folder
    with pytest.raises(BenchmarkError, match="Did you mean 'svd-seed0'"):
        store.folder("svd-sed0")


def test_a_remote_store_gives_back_what_was_committed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = Store(f"memory://{tmp_path.name}/results")
    local = commit(store)
    assert (local / "log.txt").read_text() == "hello"
    fresh = Store(f"memory://{tmp_path.name}/results")
    assert [found.run_id for found in fresh.records()] == ["run-1"]
    assert fresh.read_file("run-1", "log.txt") == b"hello"
    assert (fresh.folder("run-1") / "log.txt").read_text() == "hello"
    with pytest.raises(BenchmarkError, match="exists already"):
        fresh.begin(make())
    begin_in_a_dead_process(fresh.root, "run-2")
    assert [found.status for found in fresh.recover()] == ["interrupted"]
    assert {found.run_id for found in fresh.records()} == {"run-1", "run-2"}


def test_a_file_url_is_the_folder(tmp_path):
    commit(Store(f"file://{tmp_path}/results"))
    assert Store(tmp_path / "results").get("run-1").status == "ok"


def test_an_unknown_protocol_is_explained():
    with pytest.raises(BenchmarkError, match="nowhere://x cannot be opened"):
        Store("nowhere://x")


def test_a_published_record_of_schema_1_reads_as_it_was_with_nothing_made_up():
    found = record.decode((Path(__file__).parent / "records" / "schema_1.json").read_bytes())
    (auc, undefined), (timed,) = found.quality, found.cost.latency_ms
    assert (found.schema, auc.value, auc.bounds, auc.perfect, auc.impossible) == (record.SCHEMA, 0.75, None, None, None)
    assert (undefined.value, undefined.reason) == (None, "all 100 impressions have the label 1")
    assert (timed.median, timed.session, timed.blocks) == (1.5, None, [])
    assert record.decode(record.encode(found)) == found
