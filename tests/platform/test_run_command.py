"""A run or a sweep as it is typed: what it shows and leaves, how it fails, and that `verify` and `rescore` find it sound."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks import runner, trainer
from benchmarks.__main__ import main
from benchmarks.ctr.task import CTR
from benchmarks.datasets.bundle import DataBundle, Fold, Split
from benchmarks.datasets.open import open_bundle
from benchmarks.leaderboard.record import decode, encode
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.worst import WORST, read_worst
from quick_runs import ALONE, QUICK

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("quick", "folder")


def test_a_run_shows_its_companions_and_brings_the_report_up_to_date(trained: Path) -> None:
    records = list(Store(trained / "results").records())
    assert sorted((record.method, record.model) for record in records) == [
        ("continued", "deepfm"), ("none", "deepfm"), ("none", "lr"), ("svd", "deepfm"),
    ]  # fmt: skip
    assert {record.status for record in records} == {"ok"}
    assert (trained / "report/index.html").is_file()


def test_the_same_command_shows_the_same_table_without_training(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fits: list[str]
) -> None:
    monkeypatch.chdir(trained)
    assert main([*QUICK, "method=svd", "method.rank=4", "report=false"]) == 0
    output = capsys.readouterr()
    assert "in the store already" in output.err
    for row in ("base", "control", "floor", "this run"):
        assert row in output.out
    assert "record.json" in output.out
    assert fits == []


def test_a_test_split_without_clicks_has_no_auc_and_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = open_bundle("sim_clicks", {"rows": 4000}, progress=False)
    (fold,) = bundle.folds
    columns = {**fold.test.columns, "label": np.zeros_like(fold.test.columns["label"])}
    silent = Fold(fold.name, fold.training, Split(columns, fold.test.ids, fold.test.units))
    monkeypatch.setattr(CTR, "data", lambda *_: DataBundle(bundle.id, bundle.fingerprint, (silent,)))
    monkeypatch.setattr(runner, "_BUNDLES", {})
    assert main([*QUICK, "method=svd", "method.rank=4"]) == 0
    assert "this run" in capsys.readouterr().out
    for record in Store("results").records():
        assert record.status == "ok"
        assert record.primary is not None
        assert record.primary.value is None
        assert record.primary.ci_low is None
        assert "class" in (record.primary.reason or "")
        assert record.value("logloss") is not None
    assert (folder / "report/index.html").is_file()
    assert main(["report"]) == 0
    assert main(["verify"]) == 0
    assert main(["rescore"]) == 0


def test_a_validation_split_without_clicks_still_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = open_bundle("sim_clicks", {"rows": 4000}, progress=False)
    (fold,) = bundle.folds
    columns = {**fold.training.val.columns, "label": np.zeros(len(fold.training.val), np.float32)}
    val = Split(columns, fold.training.val.ids, fold.training.val.units)
    training = type(fold.training)(fold.training.train, val, fold.training.schema)
    monkeypatch.setattr(
        CTR, "data", lambda *_: DataBundle(bundle.id, bundle.fingerprint, (Fold(fold.name, training, fold.test),))
    )
    monkeypatch.setattr(runner, "_BUNDLES", {})
    assert main([*QUICK, *ALONE, "method=none"]) == 0


def test_a_failing_run_exits_with_1_and_names_its_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "evaluate", lambda *_: 1 / 0)
    assert main([*QUICK, *ALONE, "method=none"]) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert "'evaluate'" in error
    (record,) = Store("results").records()
    assert record.run_id in error


def test_a_base_that_fails_is_tried_once(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    tried: list[str] = []

    def diverge(network: object, task: object, data: object, plan: object, **rest: object) -> None:
        tried.append(str(rest["title"]))
        raise ArithmeticError("the loss is NaN")

    monkeypatch.setattr(trainer, "fit", diverge)
    assert main([*QUICK, "report=false", "method=svd", "method.rank=4"]) == 1
    assert tried == ["train none (deepfm, seed 0)", "train none (lr, seed 0)"]
    assert capsys.readouterr().err.count("because its base failed") == 2
    assert [record.status for record in Store("results").records()] == ["failed", "failed"]


def test_a_sweep_leaves_out_what_does_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-m", *QUICK, *ALONE, "method=none,stay"]) == 0
    assert "skipped: " in (shown := capsys.readouterr().out)
    assert "'stay' is made for trajectory" in shown
    assert [record.method for record in Store("results").records()] == ["none"]


@pytest.mark.slow
def test_a_sweep_runs_every_point_and_trains_each_base_once(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks", "-m", *QUICK, *ALONE, "method=svd", "method.rank=4,8", "seed=0,1"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    runs = [(record.method, record.seed) for record in Store(folder / "results").records(status="ok")]
    assert sorted(runs) == [("none", 0), ("none", 1), ("svd", 0), ("svd", 0), ("svd", 1), ("svd", 1)]
    assert sorted(path.name for path in folder.iterdir()) == ["results"]


def test_verify_and_rescore_find_a_sound_store(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--store", str(trained / "results")]) == 0
    assert "0 problems" in capsys.readouterr().out
    assert main(["rescore", "--store", str(trained / "results")]) == 0
    assert "0 changed" in capsys.readouterr().out


def test_a_store_that_is_not_there_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    for command in ("verify", "rescore"):
        assert main([command, "--store", str(tmp_path / "mistyped")]) == 1


def test_a_run_of_a_task_that_is_not_installed_is_left_and_the_others_are_scored(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "results", tmp_path / "store")
    folder = next((tmp_path / "store/ctr").iterdir())
    record = decode((folder / "record.json").read_bytes())
    away = msgspec.structs.replace(record, task="line", run_id="elsewhere", key="k")
    shutil.copytree(folder, tmp_path / "store/line/elsewhere")
    (tmp_path / "store/line/elsewhere/record.json").write_bytes(encode(away))
    assert main(["rescore", "--store", str(tmp_path / "store")]) == 1
    told = capsys.readouterr()
    assert "elsewhere is left as it is: Unknown task 'line'" in told.err
    assert "0 changed, 1 left" in told.out


def test_rescore_brings_a_record_of_an_older_suite_up_to_date(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such a record names no worst units and no bounds; its figures stay."""
    shutil.copytree(trained / "results", tmp_path / "old")
    for path in (tmp_path / "old").glob("ctr/*/record.json"):
        record = decode(path.read_bytes())
        (path.parent / WORST).unlink()
        quality = [msgspec.structs.replace(row, bounds=None, perfect=None) for row in record.quality]
        files = [file for file in record.files if file.name != WORST]
        path.write_bytes(encode(msgspec.structs.replace(record, quality=quality, files=files)))
    store = Store(tmp_path / "old")
    before = {record.key: record for record in store.records()}
    assert main(["rescore", "--store", store.root]) == 0
    out = capsys.readouterr().out
    assert f"{len(before)} runs scored, {len(before)} changed" in out
    assert "worst units are new" in out
    for old in before.values():
        new = store.find(old.key)
        assert new is not None
        assert new.run_id != old.run_id
        assert [row.value for row in new.quality] == [row.value for row in old.quality]
        assert (new.quality[0].bounds, new.quality[0].perfect) == ((0.0, 1.0), 1.0)
        worst = read_worst(store, new)
        assert worst is not None
        assert (worst.metric, len(worst.worst), worst.single) == ("auc", 8, False)
    assert main(["verify", "--store", store.root]) == 0
    assert main(["rescore", "--store", store.root]) == 0
    assert "0 changed" in capsys.readouterr().out
