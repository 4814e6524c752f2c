"""Runs cut off by a kill are recovered once, and processes that share a store lose and corrupt nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from benchmarks.leaderboard import draft as drafts
from benchmarks.leaderboard import process
from benchmarks.leaderboard.store import Store
from toy_records import begin_in_a_dead_process, done, make

ROOT = Path(__file__).resolve().parents[2]


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
