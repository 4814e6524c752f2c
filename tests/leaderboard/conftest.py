"""Fixtures of the leaderboard's tests: a store of generated records, as large as one likes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.leaderboard.record import (
    Cost,
    Failure,
    Flops,
    Latency,
    Memory,
    Provenance,
    Quality,
    Record,
    SideFile,
    encode,
)
from benchmarks.leaderboard.report.facts import Facts, TaskFacts
from benchmarks.leaderboard.store import Store

TASKS = {
    "ctr": ("auc", "", "max", "ml_100k"),
    "trajectory": ("min_ade@20", "m", "min", "eth_ucy"),
    "sparse_object": ("iou", "", "max", "sirst"),
    "medseg": ("dice", "", "max", "cts"),
    "hyperspectral": ("miou", "", "max", "pines"),
    "hsi_restoration": ("mpsnr", "dB", "max", "wdc"),
    "restoration": ("psnr", "dB", "max", "rain"),
}
METHODS = ("none", "svd", "afm", "lora", "small_dim", "int8", "tt", "prune", "continued", "hash", "qr", "dora")
MODELS = ("netA", "netB")
CHIPS = (("h1", "Xeon", None), ("h2", "Epyc", None), ("h3", "Xeon", "H100"))
BUDGETS = (0.75, 0.5, 0.25, 0.1)
SEEDS = 3
HISTORY = "stage,epoch,step,train_loss,val\n" + "".join(f"fit,{e},{10 * e},{1 / (e + 1)},{e / 30}\n" for e in range(30))


@pytest.fixture(scope="session")
def generated() -> Callable[[Path, int], Store]:
    """A function that fills a folder with so many records over seven tasks, three machines and three seeds a row."""

    def fill(root: Path, count: int) -> Store:
        for index in range(count):
            _write(root, index)
        return Store(root)

    return fill


@pytest.fixture(scope="session")
def facts() -> Facts:
    """What the command would say of the tasks and methods of the generated store."""
    methods = {name: {"summary": f"All about {name}", "source": "A. Author 2020", "rank": 4} for name in METHODS}
    tasks = {task: TaskFacts(task, "What it is about", "a field", SEEDS, (*METHODS[:-2], "bcm")) for task in TASKS}
    card = {
        "title": "Data",
        "summary": "s",
        "licence": "CC BY 4.0",
        "citation": "B. Author 2021",
        "homepage": "https://h",
    }
    return Facts(tasks, {entry[3]: card for entry in TASKS.values()}, {**methods, "bcm": {}}, version="1.0")


def _write(root: Path, index: int) -> None:
    task = list(TASKS)[index % len(TASKS)]
    row, seed = divmod(index // len(TASKS), SEEDS)
    method, model = METHODS[row % len(METHODS)], MODELS[row // len(METHODS) % len(MODELS)]
    turn = row // (len(METHODS) * len(MODELS))
    host, cpu, gpu = CHIPS[row % len(CHIPS)]
    budget = BUDGETS[turn % len(BUDGETS)] if method in ("svd", "afm", "small_dim") else None
    rank = 2 + turn
    metric, unit, direction, dataset = TASKS[task]
    noise = np.random.default_rng([index % len(TASKS), row])
    value = 0.8 + 0.05 * float(noise.normal()) + 0.002 * seed
    size = int(1e6 * (budget or (1 if method == "none" else noise.uniform(0.2, 1))))
    name = f"{method}-{model}-r{rank}"
    run_id = f"{name}-s{seed}-{index:05d}"
    record = Record(
        run_id=run_id, status="ok", created_utc=f"2026-01-01T{index // 3600 % 24:02d}:{index // 60 % 60:02d}:{index % 60:02d}Z",
        task=task, task_version=1, dataset=dataset, data_fingerprint="f" * 64, method=method, model=model, scale="paper",
        seed=seed, config_hash=name, key=f"{task}-{name}-{seed}", overrides=[f"task={task}", f"method={method}"],
        config={
            "method": {"name": method, "rank": rank, "budget": budget, "kind": "train" if method == "none" else "compress"},
            "model": {"name": model, "width": 400}, "trainer": {"learning_rate": 0.001, "max_epochs": 30},
        },
        provenance=Provenance(host_hash=host, cpu_model=cpu, gpu_name=gpu, git_sha="0" * 40),
    )  # fmt: skip
    folder = root / task / run_id
    folder.mkdir(parents=True, exist_ok=True)
    if index % 41 == 40:
        failure = Failure(phase="fit", exception="MemoryError", message="no memory left", traceback=["in fit"] * 20)
        (folder / "record.json").write_bytes(encode(msgspec.structs.replace(record, status="oom", failure=failure)))
        return
    spread = np.random.default_rng(7).normal(0, 0.004, 1000) + noise.normal(0, 0.001, 1000)
    buffer = io.BytesIO()
    np.savez(buffer, **{metric: (value + spread).astype("f4"), "digest": np.array("d"), "n_units": np.array(400)})
    side = {
        "replicates.npz": buffer.getvalue(),
        "history.csv": HISTORY.encode(),
        "log.txt": b"a line of the log\n" * 200,
    }
    for file, content in side.items():
        (folder / file).write_bytes(content)
    machine = "cuda:0" if gpu else "cpu"
    # Two neighbours that sort otherwise as text than as numbers.
    latency = {1: 9.5, 4: 10.1}.get(row, 1.0 + row % 17)
    timed = Latency(batch=256, median=latency, p10=1, p90=20, repeats=50, threads=1, device=machine, dtype="float32")
    quality = [
        Quality(
            metric=metric, metric_version=1, split="test", value=value, unit=unit, direction=direction, primary=True
        )
    ]
    quality += [
        Quality(metric=f"other{i}", metric_version=1, split="test", value=value / (i + 1), unit="", direction="min")
        for i in range(6)
    ]
    cost = Cost(
        params_stored=size // 4, bytes_stored=size, latency_ms=[timed], train_seconds=10.0 + row,
        flops=Flops(value=size * 2, convention="2 per multiply-add", input_shape="[1]"),
        peak_mem=Memory(bytes=size * 9, device=machine, how="high-water mark"),
    )  # fmt: skip
    files = [SideFile(name=n, sha256=hashlib.sha256(c).hexdigest(), bytes=len(c)) for n, c in side.items()]
    whole = msgspec.structs.replace(record, quality=quality, cost=cost, files=files)
    (folder / "record.json").write_bytes(encode(whole))
