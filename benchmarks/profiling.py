"""What a solver costs: parameters, bytes, operations, latency, peak memory.

Latency is taken on fresh samples at every call (a repeated batch keeps its table rows in the cache), after a warm-up,
without gradients, synchronised on an accelerator, with the number of threads in the record.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.datasets.bundle import Split
from benchmarks.inference import inputs
from benchmarks.leaderboard.record import Cost, Flops, Latency, Memory
from benchmarks.models.size import stored_constants, unique_parameters
from benchmarks.solver import NetworkSolver, Solver
from benchmarks.task import Task, tensors
from benchmarks.transforms import TRANSFORMS, formulas

CONVENTION = "2 per multiply-add; matrix products, convolutions and attention, and the task's analytic terms"
WARM_UP_SECONDS, MEASURE_SECONDS = 0.3, 1.0
MIN_CALLS, MAX_CALLS = 30, 3000
PATIENCE, FEWEST = 15.0, 3
"""Seconds after which what is so slow that even the fewest calls take longer is not asked again, and how often it is at least."""
SHARE = 0.3
"""Of these seconds, for a second form of the same network."""


def profile(solver: Solver, split: Split, task: Task, folder: Path, *, memory: bool) -> Cost:
    """The static cost of a saved solver and its speed on samples of `split`; peak memory only where asked (seconds)."""
    split = inputs(split, task)
    cost = Cost(bytes_stored=sum(file.stat().st_size for file in folder.rglob("*.safetensors")))
    if isinstance(solver, NetworkSolver):
        network = solver.network
        cost.params_total = unique_parameters(network)
        cost.params_stored = cost.params_total + stored_constants(network)
        cost.params_trainable = unique_parameters(network, trainable=True)
        parts = {name: unique_parameters(part) + stored_constants(part) for name, part in network.named_children()}
        cost.parts = {name: count for name, count in parts.items() if count}
        cost.flops = count_flops(solver, split, task)
    sizes = [size for size in task.latency_batches if size <= len(split)]
    cost.latency_ms = [latency(solver, split, size) for size in sizes]
    if cost.latency_ms:
        largest = cost.latency_ms[-1]
        cost.throughput = 1000 * largest.batch / largest.median
    if isinstance(solver, NetworkSolver) and (fused := task.exported(solver.network)) is not solver.network:
        # Last, since readers that know nothing of forms take the first latency of a batch size.
        quick = NetworkSolver(task, fused, solver.schema)
        cost.latency_ms += [latency(quick, split, size, "fused", SHARE) for size in sizes]
    if memory:
        cost.peak_mem = peak_memory(task, folder, max(task.latency_batches), split)
    return cost


def count_flops(solver: NetworkSolver, split: Split, task: Task) -> Flops:
    """Operations of one sample, counted over a batch of 16 (or the task's largest) so that what it shares is spread over it."""
    size = min(16, max(task.latency_batches), len(split))
    batch = split.batch(np.arange(size))
    shapes = {name: list(value.shape[1:]) for name, value in batch.items()}
    given = tensors(batch, solver.device)
    with torch.no_grad():
        task.predict(
            solver.network, given
        )  # what a first call alone computes, as the spectrum of a kernel, is not counted
        with FlopCounterMode(display=False, custom_mapping=formulas()) as counter:
            task.predict(solver.network, given)
    value = counter.get_total_flops() // size + task.analytic_flops(solver.network)
    transformed = any("_fft" in str(kind) for kind in counter.get_flop_counts()["Global"])
    convention = CONVENTION + TRANSFORMS if transformed else CONVENTION
    return Flops(value=value, convention=convention, input_shape=json.dumps(shapes))


def latency(solver: Solver, split: Split, batch_size: int, form: str = "eager", share: float = 1.0) -> Latency:
    """Wall time of a prediction call, median and 10th and 90th percentile; `share` shortens the measurement."""
    device = getattr(solver, "device", torch.device("cpu"))
    random = np.random.default_rng(0)
    batches = [split.batch(random.integers(0, len(split), batch_size)) for _ in range(64)]
    for batch in _for_seconds(batches, share * WARM_UP_SECONDS, 10, MAX_CALLS):
        solver.predict(batch)
    times = []
    for batch in _for_seconds(batches, share * MEASURE_SECONDS, MIN_CALLS, MAX_CALLS):
        _synchronise(device)
        started = time.perf_counter()
        solver.predict(batch)
        _synchronise(device)
        times.append(1000 * (time.perf_counter() - started))
    p10, median, p90 = np.percentile(times, [10, 50, 90])
    return Latency(
        batch=batch_size,
        median=float(median),
        p10=float(p10),
        p90=float(p90),
        repeats=len(times),
        threads=torch.get_num_threads(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        dtype="float32",
        form=form,
    )


def _for_seconds(batches: list, seconds: float, least: int, most: int):
    """Goes round the batches for some time, within bounds on the number of calls."""
    started = time.perf_counter()
    for call in range(most):
        passed = time.perf_counter() - started
        if (call >= least and passed > seconds) or (call >= min(least, FEWEST) and passed > PATIENCE):
            return
        yield batches[call % len(batches)]


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(task: Task, folder: Path, batch_size: int, split: Split) -> Memory | None:
    """High-water mark of a fresh process that loads the solver and answers one batch; None where the probe fails.

    A process's high-water mark never falls, so a second run in this process would report the first one's memory.
    """
    batch: dict[str, Any] = dict(split.batch(np.arange(min(batch_size, len(split)))))
    probe = folder / "probe.npz"
    np.savez(probe, **batch)
    command = [sys.executable, "-m", "benchmarks.memory_probe", str(folder), str(probe)]
    try:
        done = subprocess.run(command, input=pickle.dumps(task), capture_output=True, timeout=300)
        answer: Mapping[str, int] = json.loads(done.stdout) if done.returncode == 0 else {}
    finally:
        probe.unlink()
    if not answer:
        return None
    how = f"high-water mark of a fresh process at batch {len(next(iter(batch.values())))} less that after its imports"
    return Memory(bytes=answer["bytes"], device=str(answer["device"]), how=how)
