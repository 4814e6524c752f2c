"""Runs at budgets whose replicates are drawn so that each verdict is known."""

from __future__ import annotations

import json
import zlib

import msgspec
import numpy as np

from benchmarks.leaderboard.record import Cost, Quality, Record
from benchmarks.leaderboard.report.curves import CurveSet
from benchmarks.leaderboard.report.facts import Facts, TaskFacts
from benchmarks.leaderboard.report.sections import Section, build_sections, collect
from benchmarks.leaderboard.store import Store

UNITS = np.random.default_rng(0).normal(0, 0.002, 200)
OWN = np.random.default_rng(1).normal(size=200)
OWN = (OWN - OWN.mean()) / OWN.std()
BASE_BYTES = 1_000_000
SEEDS = (0, 1, 2)
SPREAD = {0: -0.001, 1: 0.0, 2: 0.001}
"""Deviation of a seed, shared by all methods: it cancels in paired differences."""
FACTS = Facts({"ctr": TaskFacts("ctr", seeds=3, methods=("none", "small_dim", "svd"), bases={"compress": "none"})})


def commit(
    store: Store,
    value: float | None,
    *,
    method: str = "none",
    seed: int = 0,
    size: int | None = BASE_BYTES,
    units: tuple[int, ...] = (400, 400),
    own: float = 0.0,
    settings: dict | None = None,
    base: Record | None = None,
    replicates: bool = True,
    **changes,
) -> Record:
    """A run whose replicates are its value and the test set's noise, with `own` times a noise that only it has."""
    kind = "train" if method in ("none", "small_dim") else "compress"
    config = {
        "method": {"name": method, "kind": kind, "summary": "text", **(settings or {})},
        "model": {"name": "net", "hidden_units": list(units)},
        "finetune": {"max_epochs": 2},
    }
    name = f"{kind}-{zlib.crc32(json.dumps(config, sort_keys=True).encode())}"
    fields = {
        "run_id": f"run-{sum(1 for _ in store.place.runs())}", "status": "running", "task": "ctr", "task_version": 1,
        "created_utc": "2026-01-01T00:00:00+00:00", "dataset": "toy", "data_fingerprint": "f", "method": method,
        "model": "net", "scale": "small", "seed": seed, "config": config, "config_hash": name, "key": f"{name}-{seed}",
        "base_run": base.run_id if base else None, "overrides": ["task=ctr"],
    }  # fmt: skip
    started = Record(**(fields | changes))
    draft = store.begin(started)
    if replicates and value is not None:
        np.savez(draft.folder / "replicates.npz", auc=(value + UNITS + own * OWN).astype("f4"), digest="d", n_units=50)
    reason = None if value is not None else "one class only"
    quality = Quality(metric="auc", metric_version=1, split="test", value=value, primary=True, reason=reason)
    draft.commit(msgspec.structs.replace(started, status="ok", quality=[quality], cost=Cost(bytes_stored=size)))
    return store.get(started.run_id)


def curve(store: Store, method: str, values: dict[float, float], *, seeds=SEEDS, sizes=None, **options) -> None:
    """Runs of a method at budgets: for each its mean value; stored sizes are those asked for unless given."""
    bases = options.pop("bases", {})
    extra = options.pop("settings", {})
    for budget, value in values.items():
        size = (sizes or {}).get(budget, int(budget * BASE_BYTES if budget <= 1 else budget))
        for seed in seeds:
            commit(
                store,
                value + SPREAD[seed],
                method=method,
                seed=seed,
                size=size,
                settings={"budget": budget, **extra},
                base=bases.get(seed),
                **options,
            )


def three_bases(store: Store, value: float = 0.8, **options) -> dict[int, Record]:
    return {seed: commit(store, value + SPREAD[seed], seed=seed, **options) for seed in SEEDS}


CONTROL = {0.75: 0.795, 0.5: 0.79, 0.25: 0.78, 0.1: 0.75}


def section_of(store: Store) -> Section:
    (section,) = build_sections(collect([store]), FACTS)
    return section


def curves_of(store: Store) -> CurveSet:
    (found,) = section_of(store).curves
    return found
