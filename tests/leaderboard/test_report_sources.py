"""What a report shows beside the user's own runs: figures that others report, and published runs."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.commands.publish import main
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.publish import publish, without_paths
from benchmarks.leaderboard.record import Provenance, Record
from benchmarks.leaderboard.reported import reported_rows
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.verify import verify
from benchmarks.leaderboard.worst import Worst, WorstUnit


def make(**changes) -> Record:
    fields = {
        "run_id": "run-1", "status": "running", "created_utc": "2026-01-01T00:00:00+00:00", "task": "ctr",
        "task_version": 1, "dataset": "toy", "data_fingerprint": "f", "method": "svd", "scale": "small", "seed": 0,
        "config": {"weights": "/home/someone/weights.safetensors", "method": {"rank": 4}}, "config_hash": "c",
        "key": "k", "overrides": ["task=ctr", "weights=/home/someone/weights.safetensors", "store=s3://bucket/a/b"],
        "provenance": Provenance(git_sha="abc", git_dirty=False),
    }  # fmt: skip
    return Record(**(fields | changes))


def commit(store: Store, status: str = "ok", worst: Worst | None = None, **changes) -> Record:
    started = make(**changes)
    draft = store.begin(started)
    np.savez(draft.folder / "replicates.npz", auc=np.zeros(3, np.float32), digest="d")
    np.savez(draft.folder / "predictions.npz", prediction=np.zeros(3), id=np.arange(3))
    np.savez(draft.folder / "targets.npz", label=np.zeros(3))
    (draft.folder / "log.txt").write_text("log")
    if worst is not None:
        (draft.folder / "worst.json").write_bytes(msgspec.json.encode(worst))
    (draft.folder / "solver").mkdir()
    (draft.folder / "solver" / "weights.safetensors").write_bytes(b"weights")
    draft.commit(msgspec.structs.replace(started, status=status))
    return store.get(started.run_id)


def test_every_reported_figure_has_a_source_and_a_reason_where_it_is_not_comparable():
    rows = reported_rows()
    assert rows
    for row in rows:
        assert row.source.title
        assert row.source.table
        assert row.source.url.startswith("https://")
        assert row.comparable or row.reason


def test_figures_of_another_split_are_shown_with_ours_but_are_not_comparable():
    rows = reported_rows("ctr", "frappe_x1r")
    assert {row.dataset for row in rows} == {"frappe_x1"}
    assert not any(row.comparable for row in rows)
    values = {(row.model, row.metric): row.value for row in rows}
    assert values["deepfm", "auc"] == 0.983947
    assert reported_rows("ctr", "ml_100k") == []
    assert all(row.comparable for row in reported_rows("ctr", "criteo_x4_001"))


@pytest.mark.parametrize(
    "dataset",
    ["frappe_x1", "criteo_x4_001", "criteo_x4_002", "avazu_x4_001", "avazu_x4_002", "movielenslatest_x1"],
)
def test_reported_figures_agree_with_the_published_table(dataset):
    mirror = os.environ.get("BENCH_MIRROR", "")
    table = Path(mirror) / "bars_leaderboard" / f"{dataset}.csv"
    if not mirror or not table.is_file():
        pytest.skip("needs the mirror's bars_leaderboard (BENCH_MIRROR)")
    names = {"lr": "LR", "fm": "FM", "dnn": "YoutubeDNN", "deepfm": "DeepFM", "dcn": "DCN", "dcnv2": "DCN-V2",
             "xdeepfm": "xDeepFM", "autoint": "AutoInt+", "fibinet": "FiBiNET", "nfm": "NFM", "masknet": "MaskNet",
             "finalmlp": "FinalMLP", "finalnet": "FinalNet", "onn": "ONN"}  # fmt: skip
    with table.open(newline="") as stream:
        best = {line["Model"]: float(line["AUC"]) for line in csv.DictReader(stream)}
    for row in reported_rows("ctr", dataset):
        if row.metric == "auc" and row.dataset == dataset:
            # The table shows the best run, the figure the mean of the runs, four decimals.
            assert best[names[row.model]] == pytest.approx(row.value, abs=8e-4), row.model


def test_a_figure_that_is_not_comparable_needs_a_reason(tmp_path):
    (tmp_path / "paper.yaml").write_text(
        "source: {title: t, table: '1', url: u}\ndefaults: {task: ctr, method: m, how: read}\n"
        "figures:\n  - {dataset: d, comparable: false, rows: [{model: x, values: {auc: 0.5}}]}\n"
    )
    with pytest.raises(BenchmarkError, match=r"paper\.yaml.*no reason"):
        reported_rows(folder=tmp_path)


def test_publishing_copies_figures_and_our_predictions_and_nothing_else(store, tmp_path, capsys):
    commit(store)
    assert main(["run-1", "--store", store.root, "--to", str(tmp_path / "published")]) == 0
    folder = tmp_path / "published" / "ctr" / "run-1"
    assert capsys.readouterr().out.strip() == str(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["predictions.npz", "record.json", "replicates.npz"]
    assert verify(Store(tmp_path / "published")) == []


@pytest.mark.parametrize("single", [True, False])
def test_worst_units_are_published_where_they_are_samples_and_not_where_they_are_users(store, tmp_path, single):
    found = Worst(
        metric="auc", metric_version=1, direction="max", unit="units", single=single, measured=1, undefined=0, middle=0.5,
        worst=[WorstUnit(name="7", condition=None, samples=1, value=0.5)],
    )  # fmt: skip
    commit(store, worst=found)
    folder = publish(store, "run-1", tmp_path / "published")
    assert (folder / "worst.json").is_file() is single
    assert verify(Store(tmp_path / "published")) == []


def test_the_path_of_a_run_in_another_store_publishes_as_much_as_its_id(store, tmp_path):
    found = Worst(
        metric="auc", metric_version=1, direction="max", unit="units", single=True, measured=1, undefined=0, middle=0.5,
        worst=[WorstUnit(name="7", condition=None, samples=1, value=0.5)],
    )  # fmt: skip
    commit(store, worst=found)
    folder = publish(Store(tmp_path / "empty"), str(store.folder("run-1")), tmp_path / "published")
    assert (folder / "worst.json").is_file()


@pytest.mark.parametrize("name", ["record.json", "replicates.npz"])
def test_a_run_that_lacks_a_file_is_not_published_and_the_file_is_named(store, tmp_path, name):
    commit(store)
    (store.folder("run-1") / name).unlink()
    with pytest.raises(BenchmarkError, match=name.replace(".", r"\.")):
        publish(store, "run-1", tmp_path / "published")
    assert not (tmp_path / "published").exists()


def test_runs_of_a_curve_may_be_published_without_their_answers(store, tmp_path):
    commit(store)
    assert main(["run-1", "--store", store.root, "--to", str(tmp_path / "published"), "--no-predictions"]) == 0
    folder = tmp_path / "published" / "ctr" / "run-1"
    assert sorted(path.name for path in folder.iterdir()) == ["record.json", "replicates.npz"]
    assert verify(Store(tmp_path / "published")) == []


def test_answers_of_many_megabytes_stay_in_the_store(store, tmp_path, monkeypatch):
    commit(store)
    answers = next(file for file in store.get("run-1").files if file.name == "predictions.npz")
    monkeypatch.setattr("benchmarks.leaderboard.publish.LARGEST", answers.bytes - 1)
    folder = publish(store, "run-1", tmp_path / "published")
    assert sorted(path.name for path in folder.iterdir()) == ["record.json", "replicates.npz"]
    assert verify(Store(tmp_path / "published")) == []


def test_a_published_record_names_no_path_of_the_machine(store, tmp_path):
    commit(store)
    folder = publish(store, "run-1", tmp_path / "published")
    text = (folder / "record.json").read_text()
    assert "someone" not in text
    (record,) = Store(tmp_path / "published").records()
    assert record.config == {"weights": "weights.safetensors", "method": {"rank": 4}}
    assert record.overrides == ["task=ctr", "weights=weights.safetensors", "store=s3://bucket/a/b"]


def test_paths_inside_a_text_are_shortened_and_other_slashes_stay():
    record = make(notes=[r"read C:\data\x.csv, then ~/y/z.npz (see a/b) at https://host/path", "/a b/c d"])
    assert without_paths(record).notes == ["read x.csv, then z.npz (see a/b) at https://host/path", "c d"]


def test_runs_that_nobody_could_repeat_are_not_published(store, tmp_path):
    commit(store, run_id="dirty", key="k1", provenance=Provenance(git_dirty=True))
    commit(store, run_id="failed", key="k2", status="failed")
    with pytest.raises(BenchmarkError, match="--allow-dirty"):
        publish(store, "dirty", tmp_path / "published")
    with pytest.raises(BenchmarkError, match="status ok"):
        publish(store, "failed", tmp_path / "published")
    assert not (tmp_path / "published").exists()
    publish(store, "dirty", tmp_path / "published", allow_dirty=True)
    with pytest.raises(BenchmarkError, match="never replaced"):
        publish(store, "dirty", tmp_path / "published", allow_dirty=True)


def test_a_changed_file_is_not_published(store, tmp_path):
    commit(store)
    (store.folder("run-1") / "predictions.npz").write_bytes(b"other")
    with pytest.raises(BenchmarkError, match="is not the file"):
        publish(store, "run-1", tmp_path / "published")
    assert not (tmp_path / "published").exists()
