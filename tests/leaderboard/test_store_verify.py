"""`verify` finds every way in which a store may differ from its records."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.commands.verify import main
from benchmarks.leaderboard import draft as drafts
from benchmarks.leaderboard.record import Quality, Record, decode, encode
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.verify import verify


def commit(store: Store, run_id: str = "run-1", value: float = 0.5, version: int = 1, **changes) -> Path:
    fields = {
        "run_id": run_id, "status": "running", "created_utc": "2026-01-01T00:00:00+00:00", "task": "ctr",
        "task_version": 1, "dataset": "toy", "data_fingerprint": "f", "method": "svd", "scale": "small", "seed": 0,
        "config": {}, "config_hash": "c", "key": f"key-{run_id}",
    }  # fmt: skip
    started = Record(**(fields | changes))
    draft = store.begin(started)
    (draft.folder / "pictures").mkdir()
    (draft.folder / "pictures" / "a.png").write_bytes(b"picture")
    quality = [Quality(metric="auc", metric_version=version, split="test", value=value, primary=True)]
    return draft.commit(msgspec.structs.replace(started, status="ok", quality=quality))


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def kinds(store: Store) -> list[str]:
    return [problem.kind for problem in verify(store)]


def test_a_sound_store_has_no_problems(store, capsys):
    commit(store)
    assert main(["--store", store.root]) == 0
    assert "1 runs, 0 problems" in capsys.readouterr().out


def test_a_flipped_byte_is_found(store, capsys):
    path = commit(store) / "pictures" / "a.png"
    path.write_bytes(b"pictuse")
    (problem,) = verify(store)
    assert (problem.kind, problem.path) == ("changed", str(path))
    assert main(["--store", store.root]) == 1
    assert str(path) in capsys.readouterr().out


def test_a_missing_file_and_a_foreign_file_are_found(store):
    folder = commit(store)
    (folder / "pictures" / "a.png").rename(folder / "b.png")
    assert kinds(store) == ["missing", "orphan"]


def test_an_unreadable_record_is_found_and_the_others_are_still_checked(store):
    (commit(store) / "record.json").write_text("{")
    (commit(store, "run-2") / "pictures" / "a.png").unlink()
    assert kinds(store) == ["unreadable", "missing"]


def test_a_folder_without_a_record_is_found(store):
    (commit(store) / "record.json").unlink()
    assert kinds(store) == ["orphan"]
    assert list(store.records()) == []


def test_a_record_in_the_wrong_folder_is_found(store):
    folder = commit(store)
    folder.rename(folder.with_name("run-7"))
    assert kinds(store) == ["misplaced"]


def test_runs_of_one_key_must_agree(store):
    commit(store, "a", key="k")
    commit(store, "b", key="k", value=0.5 * (1 + 1e-9))
    assert kinds(store) == []
    commit(store, "rescored", key="k", value=0.6, version=2)
    assert kinds(store) == []
    commit(store, "c", key="k", value=0.6)
    assert kinds(store) == ["conflict"]


def test_dead_drafts_are_listed_and_live_ones_are_not(store):
    record = Record(
        run_id="d", status="running", created_utc="2026-01-01T00:00:00", task="ctr", task_version=1, dataset="toy",
        data_fingerprint="f", method="svd", scale="small", seed=0, config={}, config_hash="c", key="k",
    )  # fmt: skip
    draft = store.begin(record)
    assert kinds(store) == []
    msgspec.structs.replace(drafts.DraftNote.read(draft.folder), started="another boot:1").write(draft.folder)
    assert kinds(store) == ["draft"]


def test_a_remote_store_is_verified_as_a_local_one(tmp_path, monkeypatch):
    import fsspec

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = Store(f"memory://{tmp_path.name}")
    commit(store)
    assert kinds(store) == []
    fsspec.filesystem("memory").pipe_file(f"/{tmp_path.name}/ctr/run-1/pictures/a.png", b"other")
    assert kinds(store) == ["changed"]


def test_a_value_that_its_metric_rules_out_is_found(store):
    folder = commit(store, value=1.5)
    assert kinds(store) == []
    record = decode((folder / "record.json").read_bytes())
    record.quality[0].bounds = (0.0, 1.0)
    (folder / "record.json").write_bytes(encode(record))
    (problem,) = verify(store)
    assert (problem.kind, problem.message) == ("impossible", "auc is 1.5, above 1, which its definition rules out")
