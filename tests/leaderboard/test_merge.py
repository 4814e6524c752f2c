"""Shards become one store: every run once, bytes as they were, damage and contradictions named, nothing replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import msgspec
import pytest

from benchmarks.commands.merge import main
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.merge import merge
from benchmarks.leaderboard.places import list_files
from benchmarks.leaderboard.publish import PUBLISHED
from benchmarks.leaderboard.record import Quality, Record, decode, encode
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.verify import verify


def commit(store: Store, run_id: str, value: float = 0.5, task: str = "ctr") -> Path:
    started = Record(
        run_id=run_id, status="running", created_utc="2026-01-01T00:00:00Z", task=task, task_version=1, dataset="toy",
        data_fingerprint="f", method="svd", scale="small", seed=0, config={}, config_hash="c", key=f"key-{run_id}",
    )  # fmt: skip
    draft = store.begin(started)
    (draft.folder / "solver").mkdir()
    (draft.folder / "solver" / "weights").write_bytes(run_id.encode())
    quality = [Quality(metric="auc", metric_version=1, split="test", value=value, primary=True)]
    return draft.commit(msgspec.structs.replace(started, status="ok", quality=quality))


@pytest.fixture
def shards(tmp_path: Path) -> list[Store]:
    """Three runs in two stores."""
    one, two = Store(tmp_path / "one"), Store(tmp_path / "two")
    commit(one, "a")
    commit(one, "b", task="medseg")
    commit(two, "c")
    return [one, two]


def outcomes(shards: list[Store], into: Store) -> list[str]:
    return [found.outcome for found in merge(shards, into)]


def files(store: Store) -> dict[str, bytes]:
    root = Path(store.root)
    return {name: (root / name).read_bytes() for name in list_files(root) if not name.startswith(".")}


def test_runs_of_all_shards_are_in_one_store_with_the_same_bytes(shards, tmp_path, capsys):
    assert main([*(shard.root for shard in shards), "--store", str(tmp_path / "all")]) == 0
    assert "3 added, 0 there already, 0 refused" in capsys.readouterr().out
    into = Store(tmp_path / "all")
    assert files(into) == files(shards[0]) | files(shards[1])
    assert verify(into) == []
    assert not any(into.drafts.iterdir())


def test_merging_again_changes_nothing(shards, tmp_path):
    into = Store(tmp_path / "all")
    assert outcomes(shards, into) == ["added"] * 3
    before = files(into)
    assert outcomes([*shards, shards[0]], into) == ["duplicate"] * 5
    assert files(into) == before


def test_another_record_of_a_run_is_refused_and_the_others_are_copied(shards, tmp_path, capsys):
    into = Store(tmp_path / "all")
    commit(into, "a", value=0.9)
    assert main([*(shard.root for shard in shards), "--store", into.root]) == 1
    printed = capsys.readouterr()
    assert "2 added, 0 there already, 1 refused" in printed.out
    assert "one/ctr/a" in printed.err
    assert "never replaced" in printed.err
    assert into.get("a").primary.value == 0.9


def test_two_shards_that_contradict_each_other_are_told(shards, tmp_path):
    commit(shards[1], "a", value=0.9)
    into = Store(tmp_path / "all")
    assert sorted(outcomes(shards, into)) == ["added", "added", "added", "refused"]
    assert into.get("a").primary.value == 0.5  # of the shard that was named first


def test_a_folder_without_a_record_in_the_place_of_a_run_ends_nothing(shards, tmp_path):
    into = Store(tmp_path / "all")
    (Path(into.root) / "ctr" / "a").mkdir(parents=True)
    (Path(into.root) / "ctr" / "a" / "notes.txt").write_text("mine")
    assert sorted(outcomes(shards, into)) == ["added", "added", "refused"]
    assert (Path(into.root) / "ctr" / "a" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("damage", ["changed", "missing", "unreadable", "misplaced", "no record"])
def test_a_damaged_run_is_refused_and_leaves_nothing(shards, tmp_path, damage):
    folder = Path(shards[0].root) / "ctr" / "a"
    if damage == "changed":
        (folder / "solver" / "weights").write_bytes(b"z")
    elif damage == "missing":
        (folder / "solver" / "weights").unlink()
    elif damage == "unreadable":
        (folder / "record.json").write_bytes(b"{")
    elif damage == "misplaced":
        folder.rename(folder.with_name("z"))
    else:
        (folder / "record.json").unlink()
    into = Store(tmp_path / "all")
    assert sorted(outcomes(shards, into)) == ["added", "added", "refused"]
    assert sorted(run for _, run in into.place.runs()) == ["b", "c"]
    assert not any(into.drafts.iterdir())


@pytest.mark.parametrize("name", ["../../stolen", "/stolen", "record.json"])
def test_a_record_that_names_files_outside_of_its_run_is_refused(shards, tmp_path, name):
    path = Path(shards[0].root) / "ctr" / "a" / "record.json"
    record = decode(path.read_bytes())
    path.write_bytes(
        encode(msgspec.structs.replace(record, files=[msgspec.structs.replace(record.files[0], name=name)]))
    )
    assert sorted(outcomes(shards, Store(tmp_path / "all"))) == ["added", "added", "refused"]
    assert not list(tmp_path.rglob("stolen"))


def test_a_run_in_the_making_is_left_and_told(shards, tmp_path, capsys):
    shards[0].begin(msgspec.structs.replace(shards[0].get("a"), run_id="d", status="running"))
    assert main([shards[0].root, "--store", str(tmp_path / "all")]) == 0
    assert ".draft/d" in capsys.readouterr().err


def test_a_folder_that_is_not_there_and_stores_without_runs_are_mistakes(shards, tmp_path):
    with pytest.raises(BenchmarkError, match="nowhere"):
        main([shards[0].root, str(tmp_path / "nowhere"), "--store", str(tmp_path / "all")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchmarkError, match="No runs to merge"):
        main([str(tmp_path / "empty"), "--store", str(tmp_path / "all")])
    assert not (tmp_path / "all").exists()


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield f"memory://{tmp_path.name}"
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)


def test_shards_go_to_a_remote_store_and_back(shards, tmp_path, url):
    assert outcomes(shards, Store(url)) == ["added"] * 3
    assert verify(Store(url)) == []
    back = Store(tmp_path / "back")
    assert outcomes([Store(url)], back) == ["added"] * 3
    assert files(back) == files(shards[0]) | files(shards[1])


def test_published_records_of_every_schema_are_taken_as_they_are(tmp_path):
    into = Store(tmp_path / "all")
    folder = next(path for path in sorted((PUBLISHED / "ctr").iterdir()) if path.is_dir())
    shard = tmp_path / "shard" / "ctr"
    shard.mkdir(parents=True)
    (shard / folder.name).symlink_to(folder)
    assert outcomes([Store(tmp_path / "shard")], into) == ["added"]
    assert (tmp_path / "all/ctr" / folder.name / "record.json").read_bytes() == (folder / "record.json").read_bytes()
