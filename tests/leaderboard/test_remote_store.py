"""A store behind a URL: what is committed is whole or not there, many writers lose nothing, records are asked for once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import msgspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from benchmarks.commands.report import main as report
from benchmarks.commands.verify import main as verify
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.draft import DraftNote
from benchmarks.leaderboard.record import Quality, Record, UnreadableRecord
from benchmarks.leaderboard.store import Store


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty store in memory, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield f"memory://{tmp_path.name}/results"
    monkeypatch.undo()
    for path in [path for path in MemoryFileSystem.store if path.startswith(f"/{tmp_path.name}/")]:
        del MemoryFileSystem.store[path]


def make(run_id: str, **changes) -> Record:
    fields = {
        "run_id": run_id, "status": "running", "created_utc": "2026-01-01T00:00:00Z", "task": "ctr", "task_version": 1,
        "dataset": "toy", "data_fingerprint": "f", "method": "svd", "scale": "small", "seed": 0, "config": {},
        "config_hash": "c", "key": f"key-{run_id}",
    }  # fmt: skip
    return Record(**(fields | changes))


def commit(store: Store, run_id: str, **changes) -> Path:
    started = make(run_id, **changes)
    draft = store.begin(started)
    (draft.folder / "solver").mkdir()
    (draft.folder / "solver" / "weights").write_bytes(run_id.encode())
    quality = [Quality(metric="auc", metric_version=1, split="test", value=0.5, primary=True)]
    return draft.commit(msgspec.structs.replace(started, status="ok", quality=quality))


def elsewhere(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Store:
    """The same store as another machine sees it: with an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    return Store(url)


def test_side_files_come_first_and_the_record_last(url, monkeypatch):
    order = []
    real = MemoryFileSystem.put_file
    monkeypatch.setattr(MemoryFileSystem, "put_file", lambda fs, one, two, **o: order.append(two) or real(fs, one, two))
    commit(Store(url), "a")
    assert [path.rpartition("/a/")[2] for path in order] == ["solver/weights", "record.json"]


def test_a_base_is_found_and_fetched_once_and_checked(url, monkeypatch, tmp_path):
    commit(Store(url), "base")
    store = elsewhere(url, monkeypatch, tmp_path)
    found = store.find("key-base")
    assert found is not None
    assert (store.folder("base") / "solver" / "weights").read_bytes() == b"base"
    monkeypatch.setattr(MemoryFileSystem, "get_file", lambda *_, **__: pytest.fail("fetched twice"))
    monkeypatch.setattr(MemoryFileSystem, "cat_file", lambda *_, **__: pytest.fail("a record was asked for twice"))
    assert (store.folder("base") / "solver" / "weights").read_bytes() == b"base"
    assert store.find("key-base") == found


def test_a_file_that_changed_on_the_way_is_refused_and_not_kept(url, monkeypatch, tmp_path):
    commit(Store(url), "base")
    with fsspec.open(f"{url}/ctr/base/solver/weights", "wb") as stream:
        stream.write(b"other")
    store = elsewhere(url, monkeypatch, tmp_path)
    with pytest.raises(BenchmarkError, match=r"not the file that the record hashed.*verify --store memory://"):
        store.folder("base")
    assert not [path for path in store.work.rglob("*") if path.is_file() and path.name != "record.json"]


@pytest.mark.parametrize("name", ["../../../stolen", "{folder}/stolen", "record.json"])
def test_a_record_that_names_files_outside_of_its_run_brings_nothing(url, monkeypatch, tmp_path, name):
    commit(Store(url), "base")
    name = name.format(folder=tmp_path)
    with fsspec.open(f"{url}/ctr/base/record.json", "rb") as stream:
        record = msgspec.json.decode(stream.read())
    with fsspec.open(f"{url}/ctr/base/record.json", "wb") as stream:
        stream.write(msgspec.json.encode(record | {"files": [record["files"][0] | {"name": name}]}))
    # What such a name leads to behind the URL: the bytes that the record has hashed.
    monkeypatch.setattr(MemoryFileSystem, "get_file", lambda fs, one, two, **_: Path(two).write_bytes(b"base"))
    with pytest.raises(UnreadableRecord, match=r"ctr/base/record\.json: .*leads out of the run's folder"):
        elsewhere(url, monkeypatch, tmp_path).folder("base")
    assert not list(tmp_path.rglob("stolen"))


def test_a_run_that_cannot_be_brought_there_is_kept_and_brought_by_the_next_start(url, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no credentials")  # object stores raise what they like

    store = Store(url)
    started = make("a")
    draft = store.begin(started)
    (draft.folder / "log.txt").write_text("hello")
    with monkeypatch.context() as broken:
        broken.setattr(MemoryFileSystem, "put_file", refuse)
        with pytest.raises(BenchmarkError, match=r"does not answer.*no credentials.*kept in .*next start"):
            draft.commit(msgspec.structs.replace(started, status="ok"))
    assert list(Store(url).records()) == []
    assert Store(url).recover() == []  # the process that made it still lives
    note = DraftNote.read(draft.folder)
    msgspec.structs.replace(note, started="another boot:1").write(draft.folder)
    assert [record.run_id for record in Store(url).recover()] == ["a"]
    assert Store(url).read_file("a", "log.txt") == b"hello"
    assert verify(["--store", url]) == 0


def test_a_bucket_that_is_not_there_is_told_with_the_folder_that_keeps_the_run(url, monkeypatch):
    def refuse(*_, **__):
        raise FileNotFoundError("The specified bucket does not exist")

    draft = Store(url).begin(make("a"))
    monkeypatch.setattr(MemoryFileSystem, "put_file", refuse)
    with pytest.raises(BenchmarkError, match=r"bucket does not exist.*kept in "):
        draft.commit(msgspec.structs.replace(make("a"), status="ok"))
    assert (draft.folder / "record.json").is_file()


def test_a_store_that_does_not_answer_is_one_clear_error_before_anything_is_computed(url, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("no such bucket")

    for name in ("exists", "ls"):
        monkeypatch.setattr(MemoryFileSystem, name, refuse)
    for ask in (lambda store: store.begin(make("a")), lambda store: store.find("key"), lambda store: store.folder("a")):
        with pytest.raises(BenchmarkError, match=r"no such bucket.*store=PATH"):
            ask(Store(url))


def test_what_is_half_uploaded_is_no_run(url):
    with fsspec.open(f"{url}/ctr/half/predictions.npz", "wb") as stream:
        stream.write(b"x")
    commit(Store(url), "whole")
    assert [record.run_id for record in Store(url).records()] == ["whole"]


def test_a_record_is_read_where_the_cache_cannot_be_written(url, monkeypatch, tmp_path):
    commit(Store(url), "a")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [record.run_id for record in Store(url).records()] == ["a"]


def test_the_extra_that_is_missing_is_named(monkeypatch):
    def missing(*_, **__):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", missing)
    with pytest.raises(BenchmarkError, match=re.escape("pip install 'lowrank-benchmarks[s3]'")):
        Store("s3://bucket/results")


def write_many(url: str, writers: int, each: int) -> None:
    def work(writer: int) -> None:
        store = Store(url)
        for number in range(each):
            commit(store, f"w{writer}-{number}", seed=number)

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(work, range(writers)))


def check_many(url: str, runs: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All runs are there, for who made them and for another machine, whose second look asks for no record."""
    assert len({record.run_id for record in Store(url).records()}) == runs
    store = elsewhere(url, monkeypatch, tmp_path)
    assert len({record.run_id for record in store.records()}) == runs
    monkeypatch.setattr(MemoryFileSystem, "cat_file", lambda *_, **__: pytest.fail("a record was asked for twice"))
    assert len(list(store.records())) == runs


def test_eight_writers_at_once_lose_nothing(url, monkeypatch, tmp_path):
    write_many(url, 8, 25)
    assert verify(["--store", url]) == 0
    check_many(url, 200, monkeypatch, tmp_path)


class Folders(set[str]):
    append = set.add


@pytest.mark.slow
def test_eight_writers_of_10000_runs_lose_nothing(url, monkeypatch, tmp_path):
    monkeypatch.setattr("os.fsync", lambda _: None)  # minutes of waiting for the disk, which other tests are about
    # The file system in memory walks over all its files and folders to say that one is not there.
    monkeypatch.setattr(MemoryFileSystem, "exists", lambda fs, path, **_: path in fs.store)
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", Folders([""]))
    write_many(url, 8, 1250)
    check_many(url, 10_000, monkeypatch, tmp_path)


def test_a_report_of_a_remote_store_is_that_of_the_same_runs_in_a_folder(url, tmp_path):
    commit(Store(url), "a", method="svd")
    commit(Store(tmp_path / "local"), "a", method="svd")
    for root, out in ((url, "one"), (str(tmp_path / "local"), "two")):
        assert report(["--store", root, "--no-published", "--out", str(tmp_path / out)]) == 0
    one, two = ((tmp_path / out / "records.json").read_bytes() for out in ("one", "two"))
    assert one == two
