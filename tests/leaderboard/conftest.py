"""Generated runs: tiny stores for comparisons, stores of any size for reports."""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Callable
from functools import cache
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
from benchmarks.leaderboard.statistics.bootstrap import Resampler, interval
from benchmarks.leaderboard.store import Store
from budget_runs import CONTROL, curve, three_bases

USERS, RESAMPLES = 60, 200
DIFFICULTY = np.random.default_rng(0).normal(0, 0.02, USERS)
DIFFICULTY -= DIFFICULTY.mean()

Commit = Callable[..., Record]

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


@cache
def draws() -> tuple[np.ndarray, str]:
    """The weights of all resamples [B, users], and their digest."""
    resampler = Resampler(np.arange(USERS), RESAMPLES)
    return np.stack(list(resampler)) / USERS, resampler.digest


def noise(*names: object, size: int | None = None) -> np.ndarray:
    """Standard normal noise that depends on the names only."""
    return np.random.default_rng(zlib.crc32(repr(names).encode())).normal(size=size)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def planted(store: Store) -> Store:
    """A base, its control, and svd: a win at .75, a tie at .5, a loss at .25, and nothing at .1."""
    bases = three_bases(store)
    curve(store, "small_dim", CONTROL)
    own = 0.002  # so that two standard errors are .004
    curve(store, "svd", {0.75: 0.800, 0.5: 0.793, 0.25: 0.775}, bases=bases, own=own)
    return store


@pytest.fixture
def commit() -> Commit:
    """Commits a run whose metric is a mean over users: `value` is the truth, `side` names the draw of training noise."""

    def commit(
        store: Store,
        value: float | None = 0.8,
        *,
        method: str = "none",
        seed: int = 0,
        side: str = "base",
        repeat: int = 0,
        status: str = "ok",
        training: float = 0.0001,
        metric: str = "auc",
        version: int = 1,
        direction: str = "max",
        condition: str | None = None,
        bounds: tuple[float | None, float | None] | None = None,
        perfect: float | None = None,
        replicates: bool = True,
        params: int = 1000,
        flops: int | None = 5000,
        ms: float | None = 1.0,
        memory: int | None = None,
        host: str = "h",
        sha: str | None = None,
        answers: np.ndarray | None = None,
        targets: np.ndarray | None = None,
        **changes,
    ) -> Record:
        run_id = f"{side}-{sum(1 for _ in store.place.runs()):04d}"
        fields = {
            "run_id": run_id, "status": "running", "created_utc": f"2026-01-0{1 + (side != 'base')}T00:00:00Z",
            "task": "ctr", "task_version": 1, "dataset": "toy", "data_fingerprint": "f" * 64, "method": method,
            "model": "net", "scale": "small", "seed": seed, "config": {"method": {"name": method, "version": 1}},
            "config_hash": method, "key": f"k{zlib.crc32(method.encode())}-{seed}",
            "provenance": Provenance(host_hash=host, cpu_model="chip", git_sha=sha),
        }  # fmt: skip
        started = Record(**(fields | changes))
        draft = store.begin(started)
        if status != "ok":
            failure = Failure(phase="fit", exception="MemoryError", message="no memory")
            draft.commit(msgspec.structs.replace(started, status=status, failure=failure))
            return store.get(run_id)
        rows = []
        if value is not None:
            drawn = training * noise(method, seed, side, repeat)
            users = value + drawn + DIFFICULTY + 5 * training * noise(method, seed, side, repeat, "users", size=USERS)
            users += value + drawn - users.mean()
            weights, digest = draws()
            sampled = weights @ users
            ends = interval(sampled)
            rows = [
                Quality(
                    metric=metric, metric_version=version, split="test", value=float(users.mean()), primary=True,
                    direction=direction, condition=each, ci_low=ends.low, ci_high=ends.high, bounds=bounds,
                    perfect=perfect,
                )
                for each in (None, *([condition] if condition else []))
            ]  # fmt: skip
            if replicates:
                arrays = {metric: sampled.astype("f4")}
                arrays |= {f"{metric}|{condition}": sampled.astype("f4")} if condition else {}
                np.savez(draft.folder / "replicates.npz", digest=digest, n_units=USERS, **arrays)
        for name, kept in (("predictions", answers), ("targets", targets)):
            if kept is not None:
                np.savez(draft.folder / f"{name}.npz", **{name: kept})
        timed = Latency(batch=256, median=ms or 1, p10=1, p90=1, repeats=9, threads=1, device="cpu", dtype="float32")
        cost = Cost(
            params_total=params, params_stored=params, bytes_stored=4 * params, latency_ms=[timed] if ms else [],
            flops=Flops(value=flops, convention="2 per multiply-add", input_shape="[1]") if flops else None,
            peak_mem=Memory(bytes=memory, device="cpu", how="fresh process") if memory else None,
        )  # fmt: skip
        draft.commit(msgspec.structs.replace(started, status="ok", quality=rows, cost=cost))
        return store.get(run_id)

    return commit


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
    rank = None if budget else 2 + turn  # rows with a budget form curves
    metric, unit, direction, dataset = TASKS[task]
    random = np.random.default_rng([index % len(TASKS), row])
    value = 0.8 + 0.05 * float(random.normal()) + 0.002 * seed
    size = int(1e6 * (budget or (1 if method == "none" else random.uniform(0.2, 1))))
    name = f"{method}-{model}-{turn}"
    first = (MODELS.index(model) * len(METHODS) * SEEDS + seed) * len(TASKS) + index % len(TASKS)
    base = None if method == "none" else f"none-{model}-0-s{seed}-{first:05d}"
    run_id = f"{name}-s{seed}-{index:05d}"
    record = Record(
        run_id=run_id, status="ok", created_utc=f"2026-01-01T{index // 3600 % 24:02d}:{index // 60 % 60:02d}:{index % 60:02d}Z",
        task=task, task_version=1, dataset=dataset, data_fingerprint="f" * 64, method=method, model=model, scale="paper",
        seed=seed, config_hash=name, key=f"{task}-{name}-{seed}", overrides=[f"task={task}", f"method={method}"], base_run=base,
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
    spread = np.random.default_rng(7).normal(0, 0.004, 1000) + random.normal(0, 0.001, 1000)
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
