"""What a solver costs: parameters, bytes, operations, latency, peak memory.

Latency is taken on fresh samples at every call (a repeated batch keeps its table rows in the cache), after a warm-up,
without gradients, synchronised on an accelerator, with the number of threads in the record. Batch sizes and forms take turns
in short blocks, whose medians tell how much the machine wavers.
"""

from __future__ import annotations

import gc
import json
import pickle
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.datasets.bundle import Columns, Split
from benchmarks.inference import inputs
from benchmarks.leaderboard.record import Block, Cost, Flops, Latency, Memory
from benchmarks.models.size import stored_constants, unique_parameters
from benchmarks.solver import ADAPTER, NetworkSolver, Solver
from benchmarks.task import Task, tensors
from benchmarks.transforms import TRANSFORMS, formulas

CONVENTION = "2 per multiply-add; matrix products, convolutions and attention, and the task's analytic terms"
WARM_UP_SECONDS, MEASURE_SECONDS = 0.3, 1.0
MIN_CALLS, MAX_CALLS = 30, 3000
PATIENCE, FEWEST = 15.0, 3
"""Seconds after which what is so slow that even the fewest calls take longer is not asked again, and how often it is at least."""
SHARE = 0.3
"""Of these seconds, for a second form of the same network."""
BRIEF = 0.01
"""Of these seconds and of the fewest calls, where only something is to be timed (`profile=brief`), without a warm-up."""
PROBE_SECONDS = 300.0
"""After so long no answer of a fresh process is waited for: its memory is not known then, and the run is none the worse."""
FRESH = 64
"""Batches that calls go round."""
ROUNDS = 7
"""Blocks of a measurement: as few as a rank test over blocks can do with."""
SESSION = uuid.uuid4().hex[:12]
"""Names this process: blocks of one session share a machine and a clock."""


def profile(
    solver: Solver, split: Split, task: Task, folder: Path, *, memory: bool = False, share: float = 1.0
) -> Cost:
    """The static cost of a saved solver and its speed on samples of `split`; peak memory only where asked (seconds).

    `share` shortens the timing.
    """
    split = inputs(split, task)
    sizes = {file: file.stat().st_size for file in folder.rglob("*.safetensors")}
    cost = Cost(bytes_adapter=sizes.pop(folder / ADAPTER, None))  # which is not shipped beside what it was merged into
    cost.bytes_stored = sum(sizes.values())
    if isinstance(solver, NetworkSolver):
        network = solver.network
        cost.params_total = unique_parameters(network)
        cost.params_stored = cost.params_total + stored_constants(network)
        cost.params_trainable = unique_parameters(network, trainable=True)
        parts = {name: unique_parameters(part) + stored_constants(part) for name, part in network.named_children()}
        cost.parts = {name: count for name, count in parts.items() if count}
        if getattr(network, "counted", True):  # a library that is not torch leaves no trace in its count
            cost.flops = count_flops(solver, split, task)
    cost.latency_ms = in_turns(timers_of(solver, split, task, share))
    cost.throughput = throughput(cost.latency_ms)
    if memory:
        device = getattr(solver, "device", torch.device("cpu"))
        size = max(task.latency_batches)
        on_device = device.type == "cuda"
        cost.peak_mem = (device_memory if on_device else peak_memory)(task, folder, size, split)
    return cost


def throughput(latencies: Sequence[Latency]) -> float | None:
    """Samples a second at the largest batch size, as the solver stands."""
    plain = [each for each in latencies if each.form == "eager"]
    return 1000 * plain[-1].batch / plain[-1].median if plain else None


def count_flops(solver: NetworkSolver, split: Split, task: Task) -> Flops:
    """Operations of one sample, counted over a batch of 16 (or the task's largest) so that what it shares is spread over it."""
    size = min(16, max(task.latency_batches), _parts(split, task))
    batch = drawn(split, task, np.arange(size))
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


class Timer:
    """Times the calls of one solver at one batch size, block by block, on fresh samples; `share` shortens all of it."""

    def __init__(self, solver: Solver, split: Split, batch_size: int, form: str = "eager", share: float = 1.0) -> None:
        self.solver, self.batch_size, self.form, self.share = solver, batch_size, form, share
        self.device = getattr(solver, "device", torch.device("cpu"))
        random = np.random.default_rng(0)
        task = getattr(solver, "task", None)
        # A second form is timed as often as the first one; what is brief is not.
        self.thorough = min(1.0, share / SHARE)
        parts, fresh = _parts(split, task), self._of(FRESH)
        self.batches = [drawn(split, task, random.integers(0, parts, batch_size)) for _ in range(fresh)]
        self.calls = 0
        self.times: list[list[float]] = []
        self.begun: list[float] = []

    def warm_up(self) -> None:
        """Calls that are not timed; none where timing is brief, since what is timed has just answered."""
        if self.share <= BRIEF:
            return
        for batch in self._for_seconds(self.share * WARM_UP_SECONDS, self._of(10), MAX_CALLS, PATIENCE):
            self.solver.predict(batch)

    def block(self, number: int, of: int = ROUNDS) -> None:
        """The block with this number of so many, which share the calls and the seconds; none where calls take too long."""
        spent, done = sum(map(sum, self.times)) / 1000, sum(map(len, self.times))
        if spent > self.thorough * PATIENCE and done >= self._of(FEWEST):
            return
        calls = self._of(MIN_CALLS)
        least = max(1, calls * (number + 1) // of - calls * number // of)
        self.begun.append(time.time())
        self.times.append([])
        for batch in self._for_seconds(self.share * MEASURE_SECONDS / of, least, MAX_CALLS // of, PATIENCE / of):
            _synchronise(self.device)
            started = time.perf_counter()
            self.solver.predict(batch)
            _synchronise(self.device)
            self.times[-1].append(1000 * (time.perf_counter() - started))

    def _of(self, calls: int) -> int:
        return max(1, round(self.thorough * calls))

    def latency(self, session: str = SESSION) -> Latency:
        """Median, 10th and 90th percentile of all calls, and the median of each block."""
        p10, median, p90 = np.percentile(np.concatenate(self.times), [10, 50, 90])
        blocks = [
            Block(round(at, 3), float(np.median(times))) for at, times in zip(self.begun, self.times, strict=True)
        ]
        return Latency(
            batch=self.batch_size,
            median=float(median),
            p10=float(p10),
            p90=float(p90),
            repeats=sum(map(len, self.times)),
            threads=torch.get_num_threads(),
            device=torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type,
            dtype="float32",
            form=self.form,
            session=session,
            blocks=blocks,
        )

    def _for_seconds(
        self, seconds: float, least: int, most: int, patience: float
    ) -> Iterator[Mapping[str, np.ndarray]]:
        """Goes on round the batches for some time, within bounds on the number of calls."""
        started = time.perf_counter()
        for call in range(most):
            passed = time.perf_counter() - started
            if (call >= least and passed > seconds) or (call >= min(least, self._of(FEWEST)) and passed > patience):
                return
            self.calls += 1
            yield self.batches[self.calls % len(self.batches)]


def in_turns(timers: Sequence[Timer], session: str = SESSION) -> list[Latency]:
    """The latencies of warm timers whose blocks take turns, so that what else the machine does meets all of them alike."""
    for timer in timers:
        timer.warm_up()
    for number in range(ROUNDS):
        for timer in timers:
            timer.block(number)
    return [timer.latency(session) for timer in timers]


def latency(solver: Solver, split: Split, batch_size: int, form: str = "eager", share: float = 1.0) -> Latency:
    """Wall time of a prediction call, median and 10th and 90th percentile; `share` shortens the measurement."""
    return in_turns([Timer(solver, split, batch_size, form, share)])[0]


def timers_of(solver: Solver, split: Split, task: Task, share: float = 1.0) -> list[Timer]:
    """A timer for each batch size, and then one each for the form in which the network leaves the suite, if it has one.

    That comes last, since readers that know nothing of forms take the first latency of a batch size.
    """
    sizes = [size for size in task.latency_batches if size <= _parts(split, task)]
    timers = [Timer(solver, split, size, share=share) for size in sizes]
    if isinstance(solver, NetworkSolver) and (fused := task.exported(solver.network)) is not solver.network:
        quick = NetworkSolver(task, fused, solver.schema)
        timers += [Timer(quick, split, size, "fused", SHARE * share) for size in sizes]
    return timers


def drawn(split: Split, task: Task | None, rows: np.ndarray) -> Columns:
    """The samples of these numbers, as one group; of a task of whole groups the groups of these numbers."""
    return split.whole(rows) if task is not None and task.whole_groups else split.batch(rows)


def _parts(split: Split, task: Task | None) -> int:
    return split.parts if task is not None and task.whole_groups else len(split)


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def device_memory(task: Task, folder: Path, batch_size: int, split: Split) -> Memory:
    """What a saved solver and its first answer take of a CUDA device at most.

    It is loaded anew, so that what else the process holds there (this solver as it was timed, what earlier runs left) can be
    taken off whatever it is, and what a network keeps of its first call counts.
    """
    batch = drawn(split, task, np.arange(min(batch_size, _parts(split, task))))
    gc.collect()  # networks that refer to themselves hold memory until then
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    solver = NetworkSolver.load(task, folder)
    solver.to(torch.device("cuda"))
    torch.cuda.reset_peak_memory_stats()
    solver.predict(batch)
    how = f"most that torch had allocated on the device at batch {len(next(iter(batch.values())))} less that before loading"
    return Memory(bytes=torch.cuda.max_memory_allocated() - before, device=torch.cuda.get_device_name(), how=how)


def peak_memory(task: Task, folder: Path, batch_size: int, split: Split) -> Memory | None:
    """High-water mark of a fresh process that loads the solver and answers one batch; None where the probe fails.

    A process's high-water mark never falls, so a second run in this process would report the first one's memory.
    """
    batch: dict[str, Any] = dict(drawn(split, task, np.arange(min(batch_size, _parts(split, task)))))
    probe = folder / "probe.npz"
    np.savez(probe, **batch)
    command = [sys.executable, "-m", "benchmarks.memory_probe", str(folder), str(probe)]
    try:
        done = subprocess.run(command, input=pickle.dumps(task), capture_output=True, timeout=PROBE_SECONDS)
        answer: Mapping[str, int] = json.loads(done.stdout) if done.returncode == 0 else {}
    except subprocess.TimeoutExpired:
        return None
    finally:
        probe.unlink()
    if not answer:
        return None
    how = f"high-water mark of a fresh process at batch {len(next(iter(batch.values())))} less that after its imports"
    return Memory(bytes=answer["bytes"], device=str(answer["device"]), how=how)
