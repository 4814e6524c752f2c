"""The store loses nothing, shows nothing half, and never changes a run."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard import draft as drafts
from benchmarks.leaderboard import process, record
from benchmarks.leaderboard.record import Quality, Record, UnreadableRecord
from benchmarks.leaderboard.store import Store

ROOT = Path(__file__).resolve().parents[2]


def make(run_id: str = "run-1", **changes) -> Record:
    fields = {
        "run_id": run_id, "status": "running", "created_utc": "2026-01-01T00:00:00+00:00", "task": "ctr",
        "task_version": 1, "dataset": "toy", "data_fingerprint": "f", "method": "svd", "scale": "small", "seed": 0,
        "config": {"method": {"name": "svd", "rank": 4}}, "config_hash": "c", "key": f"key-{run_id}",
    }  # fmt: skip
    return Record(**(fields | changes))


def done(started: Record, status: str = "ok", value: float | None = 0.5) -> Record:
    quality = [Quality(metric="auc", metric_version=1, split="test", value=value, primary=True)]
    return msgspec.structs.replace(started, status=status, quality=quality)


def commit(store: Store, run_id: str = "run-1", status: str = "ok", **changes) -> Path:
    started = make(run_id, **changes)
    draft = store.begin(started)
    (draft.folder / "log.txt").write_text("hello")
    return draft.commit(done(started, status))


def begin_in_a_dead_process(root: Path, run_id: str = "run-1", checkpoint: str | None = None) -> None:
    """Leaves a draft as a process killed in training does."""
    draft = Store(root).begin(make(run_id))
    draft.enter("fit")
    if checkpoint:
        (draft.folder / "checkpoints").mkdir()
        (draft.folder / "checkpoints" / "last.ckpt").write_text(checkpoint)
    note = drafts.DraftNote.read(draft.folder)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    msgspec.structs.replace(note, pid=gone.pid, started="another boot:1").write(draft.folder)


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


def test_a_run_in_progress_is_not_recovered(tmp_path):
    store = Store(tmp_path)
    store.begin(make())
    assert store.recover() == []


def test_a_killed_run_becomes_interrupted_and_keeps_its_checkpoints(tmp_path):
    begin_in_a_dead_process(tmp_path, checkpoint="epoch 3")
    store = Store(tmp_path)
    (found,) = store.recover()
    assert (found.status, found.failure.phase) == ("interrupted", "fit")
    assert [kept.status for kept in store.records()] == ["interrupted"]
    assert (store.resume_folder(found.key) / "last.ckpt").read_text() == "epoch 3"
    assert store.find(found.key) is None
    assert store.recover() == []


def test_checkpoints_go_once_the_run_succeeds(tmp_path):
    begin_in_a_dead_process(tmp_path, checkpoint="epoch 3")
    store = Store(tmp_path)
    store.recover()
    started = make("run-2", key="key-run-1")
    draft = store.begin(started)
    store.resume_folder("key-run-1").rename(draft.folder / "checkpoints")
    folder = draft.commit(done(started))
    assert not (folder / "checkpoints").exists()
    assert store.resume_folder("key-run-1") is None


def test_a_process_id_used_again_is_not_the_process_of_the_draft(tmp_path):
    store = Store(tmp_path)
    draft = store.begin(make())
    note = drafts.DraftNote.read(draft.folder)
    assert process.alive(note.pid, note.started)
    msgspec.structs.replace(note, started="another boot:1").write(draft.folder)
    assert [found.status for found in store.recover()] == ["interrupted"]


def test_a_draft_of_another_machine_counts_as_dead_after_an_hour_without_heartbeat(tmp_path):
    store = Store(tmp_path)
    draft = store.begin(make())
    msgspec.structs.replace(drafts.DraftNote.read(draft.folder), host="elsewhere").write(draft.folder)
    assert store.recover() == []
    old = time.time() - 2 * 3600
    os.utime(draft.folder / "draft.json", (old, old))
    assert [found.status for found in store.recover()] == ["interrupted"]


def test_a_run_killed_between_its_record_and_its_move_is_completed(tmp_path, monkeypatch):
    store = Store(tmp_path)
    draft = store.begin(make())
    drafts.seal(draft.folder, done(make()))
    (draft.folder / "draft.json").unlink()
    assert [found.status for found in store.recover()] == ["ok"]
    assert store.get("run-1").status == "ok"


def test_what_a_process_killed_before_its_note_left_behind_is_removed_and_never_a_run(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    store = Store(tmp_path)
    killed = store.drafts / f".run-1~{dead.pid}"
    alive = store.drafts / f".run-2~{os.getpid()}"
    killed.mkdir(parents=True)
    alive.mkdir()
    assert store.recover() == []
    assert not killed.exists()
    assert alive.exists()


RECOVER = """
import sys, time
from benchmarks.leaderboard.store import Store
store = Store(sys.argv[1])
while not store.work.joinpath("go").exists():
    time.sleep(0.001)
print(len(store.recover()))
"""

COMMIT = """
import sys
import msgspec
from benchmarks.leaderboard.record import Quality, Record
from benchmarks.leaderboard.store import Store
root, worker = sys.argv[1:]
store = Store(root)
for index in range(20):
    started = Record(run_id=f"w{worker}-{index}", status="running", created_utc="2026-01-01T00:00:00+00:00", task="ctr",
        task_version=1, dataset="toy", data_fingerprint="f", method="svd", scale="small", seed=index,
        config={"text": "x" * 5000}, config_hash="c", key=f"{worker}-{index}")
    draft = store.begin(started)
    (draft.folder / "replicates.npz").write_bytes(bytes(20000))
    draft.commit(msgspec.structs.replace(started, status="ok"))
    print(index, flush=True)
"""


def start(code: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_two_processes_that_recover_at_once_do_it_once(tmp_path):
    for index in range(12):
        begin_in_a_dead_process(tmp_path, f"run-{index}", checkpoint="x")
    workers = [start(RECOVER, str(tmp_path)) for _ in range(2)]
    time.sleep(0.5)
    (tmp_path / "go").touch()
    counts = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    store = Store(tmp_path)
    assert sum(counts) == 12
    assert len(list(store.records(status="interrupted"))) == 12
    assert not any(store.drafts.iterdir())


def test_eight_writers_with_two_killed_lose_and_corrupt_nothing(tmp_path):
    from benchmarks.leaderboard.verify import verify

    workers = [start(COMMIT, str(tmp_path), str(number)) for number in range(8)]
    reported = {number: [] for number in range(8)}
    for number in (2, 5):
        for _ in range(4):
            reported[number].append(workers[number].stdout.readline().strip())
        workers[number].send_signal(signal.SIGKILL)
    for number, worker in enumerate(workers):
        reported[number] += worker.communicate(timeout=120)[0].split()
    store = Store(tmp_path)
    store.recover()
    ok = {found.run_id for found in store.records(status="ok")}
    assert {f"w{number}-{index}" for number, lines in reported.items() for index in lines} <= ok
    assert all(len(reported[number]) == 20 for number in range(8) if number not in (2, 5))
    assert {found.status for found in store.records()} <= {"ok", "interrupted"}
    assert verify(store) == []


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    import filelock

    store = Store(tmp_path)
    with store.lock("base"):
        (path,) = (tmp_path / ".locks").iterdir()
        with pytest.raises(filelock.Timeout):
            filelock.FileLock(path, timeout=0).acquire()
    filelock.FileLock(path, timeout=0).acquire().lock.release()


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
