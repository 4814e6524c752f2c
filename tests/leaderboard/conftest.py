"""Tiny stores of generated runs, for comparisons."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache

import msgspec
import numpy as np
import pytest

from benchmarks.leaderboard.record import Cost, Failure, Flops, Latency, Memory, Provenance, Quality, Record
from benchmarks.leaderboard.statistics.bootstrap import Resampler, interval
from benchmarks.leaderboard.store import Store

USERS, RESAMPLES = 60, 200
DIFFICULTY = np.random.default_rng(0).normal(0, 0.02, USERS)
DIFFICULTY -= DIFFICULTY.mean()

Commit = Callable[..., Record]


@cache
def draws() -> tuple[np.ndarray, str]:
    """The weights of all resamples [B, users], and their digest."""
    resampler = Resampler(np.arange(USERS), RESAMPLES)
    return np.stack(list(resampler)) / USERS, resampler.digest


def noise(*names: object, size: int | None = None) -> np.ndarray:
    """Standard normal noise that depends on the names only."""
    return np.random.default_rng(zlib.crc32(repr(names).encode())).normal(size=size)


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
                    direction=direction, condition=each, ci_low=ends.low, ci_high=ends.high,
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
