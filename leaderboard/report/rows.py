"""From records to table rows: one row a configuration, its figures taken over seeds, nothing averaged over gaps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.leaderboard.labels import labels
from benchmarks.leaderboard.record import Latency, Quality, Record
from benchmarks.leaderboard.replicates import run_score
from benchmarks.leaderboard.statistics.hierarchical import hierarchical_interval, seed_summary
from benchmarks.leaderboard.statistics.paired import Difference, RunScore
from benchmarks.leaderboard.store import Store


@dataclass(frozen=True, eq=False)
class Run:
    """A record and the store that its side files lie in."""

    record: Record
    store: Store

    @cached_property
    def score(self) -> RunScore | None:
        """The replicates of the primary metric, None where there are none."""
        return self.score_under(None)

    def score_under(self, condition: str | None) -> RunScore | None:
        """The replicates of the primary metric under a condition (None: over all), None where there are none."""
        if self.record.primary is None:
            return None
        return run_score(self.store, self.record, find_quality(self.record, self.record.primary.metric, condition))

    @cached_property
    def hardware(self) -> tuple[str, str]:
        """Which machine (unnamed) and a description; latencies are compared within one only."""
        p = self.record.provenance
        device = next((latency.device for latency in self.record.cost.latency_ms), "cpu")
        on_gpu = device.startswith("cuda") or device == p.gpu_name
        chip = (p.gpu_name if on_gpu else p.cpu_model) or device
        threads = next((latency.threads for latency in self.record.cost.latency_ms), p.threads)
        description = chip if on_gpu or not threads else f"{chip}, {threads} thread{'s' * (threads != 1)}"
        return (f"{p.host_hash} {description}", description)


@dataclass(frozen=True)
class Figure:
    """A figure over the seeds of a row: mean, sample standard deviation, count and interval; or None and the reason."""

    value: float | None
    std: float | None = None
    n: int = 0
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class Row:
    """One configuration in one cell.

    `runs` holds the latest ok run of each seed, `gaps` what keeps the row incomplete. `conditions` holds the primary
    metric under each condition. `difference` is of the primary metric to `base`, and `verdict` one of better, worse, tie,
    differs; None where the difference cannot be tested. `differences` are those under each condition.
    """

    method: str
    model: str | None
    label: str
    settings: str
    runs: tuple[Run, ...]
    gaps: tuple[str, ...]
    primary: Figure
    metrics: Mapping[str, Figure]
    cost: Mapping[str, Figure]
    latency: Mapping[int, Figure]
    conditions: Mapping[str, Figure] = field(default_factory=dict)
    base: Row | None = None
    difference: Difference | None = None
    differences: Mapping[str, Difference] = field(default_factory=dict)
    verdict: str | None = None

    @property
    def record(self) -> Record:
        """The record of the first seed: what all seeds share."""
        return self.runs[0].record

    @property
    def scores(self) -> dict[int, RunScore] | None:
        """Replicates by seed; None unless every seed has them."""
        return self.scores_under(None)

    def scores_under(self, condition: str | None) -> dict[int, RunScore] | None:
        """Replicates under a condition by seed; None unless every seed has them."""
        scores = {run.record.seed: run.score if condition is None else run.score_under(condition) for run in self.runs}
        return {seed: score for seed, score in scores.items() if score} if all(scores.values()) else None

    @property
    def name(self) -> str:
        """Label and model."""
        return f"{self.label} · {self.model}" if self.model else self.label


COSTS: dict[str, Callable[[Record], float | None]] = {
    "params_stored": lambda r: r.cost.params_stored,
    "bytes_stored": lambda r: r.cost.bytes_stored,
    "flops": lambda r: r.cost.flops.value if r.cost.flops else None,
    "peak_mem": lambda r: r.cost.peak_mem.bytes if r.cost.peak_mem else None,
    "train_seconds": lambda r: r.cost.train_seconds,
}
"""Columns of cost, by name."""


@dataclass
class Plan:
    """What the rows of a cell share: metrics with the version shown, conditions of the primary one, batch sizes, hardware
    of latencies, lost runs. `machines` are all groups of hardware with measured costs, that one first."""

    primary: Quality | None
    metrics: list[Quality]
    batches: list[int]
    hardware: tuple[str, str] | None
    machines: list[tuple[str, str]] = field(default_factory=list)
    conditions: list[str] = field(default_factory=list)
    seeds: int = 1
    failed: Mapping[tuple[Any, ...], list[Record]] = field(default_factory=dict)


def build_rows(runs: Sequence[Run], plan: Plan) -> list[Row]:
    """The rows of the ok runs of one cell, in order of method and model."""
    grouped: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in runs:
        grouped[run.record.row].append(run)
    groups = [_latest_of_each_seed(group) for group in grouped.values()]
    names = labels([group[0].record for group in groups])
    rows = [_row(group, name, plan) for group, name in zip(groups, names, strict=True)]
    return sorted(rows, key=lambda row: (row.method, row.model or "", row.label))


def over_seeds(runs: Sequence[Run], pick: Callable[[Record], float | None], reason: str = "not measured") -> Figure:
    """The figure over seeds; one seed without it leaves the whole figure undefined."""
    values = {run.record.seed: pick(run.record) for run in runs}
    known = [value for value in values.values() if value is not None]
    if len(known) < len(values) or not known:
        seeds = [str(seed) for seed, value in values.items() if value is None]
        where = f" for seed {', '.join(seeds)}" if known else ""
        return Figure(None, n=len(known), reason=f"{reason}{where}")
    mean, std, n = seed_summary(known)
    return Figure(mean, std, n)


def latency_of(record: Record, batch: int) -> Latency | None:
    """The first latency with that batch size."""
    return next((latency for latency in record.cost.latency_ms if latency.batch == batch), None)


def _latest_of_each_seed(runs: Iterable[Run]) -> list[Run]:
    latest = {run.record.seed: run for run in sorted(runs, key=lambda run: run.record.created_utc)}
    return [latest[seed] for seed in sorted(latest)]


def _row(runs: Sequence[Run], label: tuple[str, str], plan: Plan) -> Row:
    first = runs[0].record
    lost = [r for r in plan.failed.get(first.row, []) if r.seed not in {run.record.seed for run in runs}]
    gaps = [f"seed {record.seed}: {record.status}" for record in lost]
    if len(runs) < plan.seeds:
        gaps.append(f"{len(runs)} of {plan.seeds} seeds")
    return Row(
        method=first.method,
        model=first.model,
        label=label[0],
        settings=label[1],
        runs=tuple(runs),
        gaps=tuple(gaps),
        primary=_primary(runs, plan),
        conditions={name: _primary(runs, plan, name) for name in plan.conditions},
        metrics={wanted.metric: _metric(runs, wanted) for wanted in plan.metrics},
        cost={name: over_seeds(runs, pick) for name, pick in COSTS.items()},
        latency={batch: latency_figure(runs, batch, plan.hardware) for batch in plan.batches},
    )


def _primary(runs: Sequence[Run], plan: Plan, condition: str | None = None) -> Figure:
    if plan.primary is None:
        return Figure(None, reason="no primary metric was measured")
    figure = _metric(runs, plan.primary, condition)
    if figure.value is None:
        return figure
    scores = [run.score if condition is None else run.score_under(condition) for run in runs]
    if all(scores) and len({score.digest for score in scores if score}) == 1:
        known = [score for score in scores if score]
        low, high, _ = hierarchical_interval(
            np.stack([score.replicates for score in known]),
            np.array([score.value for score in known]),
            min(score.n_units for score in known),
        ).within(plan.primary.bounds)
        return Figure(figure.value, figure.std, figure.n, low, high)
    if len(runs) == 1 and (quality := find_quality(runs[0].record, plan.primary.metric, condition)):
        return Figure(figure.value, None, 1, quality.ci_low, quality.ci_high)
    return figure


def _metric(runs: Sequence[Run], wanted: Quality, condition: str | None = None) -> Figure:
    found = {run.record.run_id: find_quality(run.record, wanted.metric, condition) for run in runs}
    measured = [quality for quality in found.values() if quality]
    if any(quality.metric_version != wanted.metric_version for quality in measured):
        return Figure(None, reason=f"measured with another version than {wanted.metric_version}: rescore this run")
    reason = next((quality.reason for quality in measured if quality.reason), "not measured")
    return over_seeds(runs, lambda record: q.value if (q := found[record.run_id]) else None, reason)


def find_quality(record: Record, metric: str, condition: str | None = None) -> Quality | None:
    """The row of a metric on the test split, over all conditions or under one."""
    return next((q for q in record.quality if (q.metric, q.split, q.condition) == (metric, "test", condition)), None)


def latency_figure(runs: Sequence[Run], batch: int, hardware: tuple[str, str] | None) -> Figure:
    """The latency at a batch size on one group of machines, over the seeds that ran there."""
    return _on(runs, hardware, lambda record: found.median if (found := latency_of(record, batch)) else None)


def memory_figure(runs: Sequence[Run], hardware: tuple[str, str] | None) -> Figure:
    """The peak memory on one group of machines, over the seeds that ran there."""
    return _on(runs, hardware, COSTS["peak_mem"])


def _on(runs: Sequence[Run], hardware: tuple[str, str] | None, pick: Callable[[Record], float | None]) -> Figure:
    here = [run for run in runs if run.hardware == hardware]
    if not here:
        return Figure(None, reason=f"measured on other hardware: {runs[0].hardware[1]}")
    return over_seeds(here, pick)
