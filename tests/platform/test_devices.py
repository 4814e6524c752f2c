"""One run on several devices: shared batches, one leader that writes, followers that leave nothing."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ctr.task import CTR
from benchmarks.datasets.bundle import Split
from benchmarks.datasets.open import open_bundle
from benchmarks.device import device_of
from benchmarks.epochs import EpochBatches
from benchmarks.errors import BenchmarkError
from benchmarks.follower import FollowerStore, leads
from benchmarks.inference import collect
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.store import Store
from benchmarks.solver import NetworkSolver
from benchmarks.spec import RunSpec
from benchmarks.workbench import Bench

ROOT = Path(__file__).resolve().parents[2]


def order(n: int, size: int, rank: int, world: int) -> list[list[int]]:
    split = Split({"row": np.arange(n)}, np.arange(n), np.arange(n))
    batches = EpochBatches(split, size, 3, lambda: 1, lambda: (rank, world))
    listed = [batch["row"].tolist() for batch in batches]
    assert len(listed) == len(batches)
    return listed


def test_processes_share_each_batch_of_a_single_one() -> None:
    alone = order(24, 8, 0, 1)
    shared = [order(24, 8, rank, 2) for rank in (0, 1)]
    assert [sorted(one + other) for one, other in zip(*shared, strict=True)] == [sorted(batch) for batch in alone]


@pytest.mark.parametrize("n", [21, 22, 23, 24, 25])
def test_all_processes_take_the_same_number_of_steps_and_miss_no_sample(n: int) -> None:
    shared = [order(n, 8, rank, 3) for rank in range(3)]
    assert len({tuple(map(len, batches)) for batches in shared}) == 1
    assert {row for batches in shared for batch in batches for row in batch} == set(range(n))


@pytest.mark.parametrize(
    ("environment", "leader"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
    ],
)
def test_the_first_process_leads(environment: dict[str, str], leader: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert leads() is leader


def record(run_id: str, status: str = "running") -> Record:
    return Record(
        run_id=run_id, status=status, created_utc="2026-01-01T00:00:00Z", task="ctr", task_version=1, dataset="sim_clicks",
        data_fingerprint="f", method="none", scale="smoke", seed=0, config={}, config_hash="h", key=f"key-{run_id}",
    )  # fmt: skip


def test_a_follower_finds_what_the_leader_stored_and_stores_nothing_there(tmp_path: Path) -> None:
    leading = Store(tmp_path / "results")
    leading.begin(record("one")).commit(record("one", "ok"))
    following = FollowerStore(str(tmp_path / "results"))
    found = following.find("key-one")
    assert found is not None
    assert following.folder("one") == leading.folder("one")
    following.begin(record("two")).commit(record("two", "ok"))
    assert following.find("key-two") is not None
    assert following.folder("two").is_dir()
    assert [each.run_id for each in leading.records()] == ["one"]


def test_a_follower_goes_on_from_the_checkpoints_that_the_leader_took_up(tmp_path: Path) -> None:
    leading = Store(tmp_path / "results")
    draft = leading.begin(record("one"))
    (draft.folder / "checkpoints").mkdir()
    (draft.folder / "checkpoints" / "last.ckpt").write_bytes(b"state")
    following = FollowerStore(str(tmp_path / "results"))
    copied = following.resume_folder("key-one")
    assert copied is not None
    assert (copied / "last.ckpt").read_bytes() == b"state"
    assert (draft.folder / "checkpoints" / "last.ckpt").exists(), "the leader still needs it"
    (leading.drafts / f".three~{os.getpid()}").mkdir()  # of a run that is about to begin
    (leading.drafts / "four").mkdir()  # of one that has just ended
    assert following.resume_folder("key-two") is None


@pytest.mark.parametrize(
    ("machine", "expected"),
    [("cuda", {"cuda": "cuda", "mps": "cpu", "auto": "cuda", "gpu": "cuda", "cpu": "cpu"}),
     ("mps", {"cuda": "cpu", "mps": "mps", "auto": "cpu", "gpu": "mps", "cpu": "cpu"})],
)  # fmt: skip
def test_a_method_computes_on_the_device_that_its_solver_answers_on(
    machine: str, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: machine == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: machine == "mps")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device(machine))
    fold = open_bundle("sim_clicks", {"rows": 4000}, progress=False).folds[0]
    spec = RunSpec.of(["task=ctr"])
    bench = Bench(spec, CTR(), fold, Path(), lambda: ("", Path()))
    for accelerator, device in expected.items():
        spec.config["trainer"]["accelerator"] = accelerator
        assert bench.device.type == device_of(accelerator).type == device, accelerator


@pytest.mark.parametrize("strategy", ["fsdp_cpu_offload", "deepspeed_stage_3", "model_parallel"])
def test_other_ways_to_cut_up_a_network_are_refused_with_what_to_type(strategy: str) -> None:
    with pytest.raises(BenchmarkError, match=r"Type trainer\.strategy=fsdp"):
        RunSpec.of(["task=ctr", "trainer.devices=2", f"trainer.strategy={strategy}"])


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_run_on_three_devices_leaves_the_records_of_one_process(strategy: str, tmp_path: Path) -> None:
    """Under gloo, with numbers of samples that three does not divide: what they are judged by is of all samples, each once."""
    words = [
        "task=ctr", "method=svd", "method.rank=4", "scale=smoke", "data.rows=4000", "model.hidden_units=[16,16,16]",
        "trainer.devices=3", f"trainer.strategy={strategy}", "trainer.accelerator=cpu", "trainer.threads=1",
        "trainer.progress=false", "profile=none", "companions=false", "report=false",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    store = Store(tmp_path / "results")
    assert sorted(each.method for each in store.records()) == ["none", "svd"]
    assert not list(store.drafts.iterdir())
    assert done.stdout.count("record  ") == 1
    task = CTR()
    (fold,) = task.data("sim_clicks", RunSpec.of(words).data_options).folds
    assert all(len(part) % 3 for part in (fold.training.train, fold.training.val, fold.test)), "some shard is shorter"
    for record in store.records():
        folder = store.folder(record.run_id)
        solver = NetworkSolver.load(task, folder / "solver/all")
        for split, found in (
            (fold.test, record.primary.value if record.primary else None),
            (fold.training.val, max(float(row["val_auc"]) for row in history(folder))),
        ):
            samples = collect(solver, split, task, 1024)
            assert found == pytest.approx(task.primary.statistic(samples).value(None), abs=1e-6)
        assert record.primary is not None
        assert record.primary.n == len(fold.test)


def history(folder: Path) -> list[dict[str, str]]:
    with (folder / "history.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
