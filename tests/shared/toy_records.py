"""Records of made-up runs, committed or left behind by a process that died."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from benchmarks.leaderboard import draft as drafts
from benchmarks.leaderboard.record import Quality, Record
from benchmarks.leaderboard.store import Store


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
