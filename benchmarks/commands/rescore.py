"""`rescore`: metrics anew from stored answers, after a metric was mended. No training, no torch.

A record is never changed: where a value, a metric's version or its bounds differ, or where an older version of this suite
named no worst units or drew no operating curves, a new record with the same key takes the old one's place, since the latest of
a key counts.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import registry
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.operating import OPERATING
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.store import Store, require
from benchmarks.leaderboard.worst import WORST
from benchmarks.scoring import Evaluation, score, write_evaluation
from benchmarks.successor import commit_successor


def main(argv: Sequence[str]) -> int:
    """Scores the named runs, or all of the store, and says what changed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks rescore", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("runs", nargs="*", help="run ids; none means every finished run")
    parser.add_argument("--store", default="results")
    options = parser.parse_args(argv)
    store = Store(options.store)
    require(store)
    records = [store.get(run) for run in options.runs] or list(latest(store.records(status="ok")).values())
    changed = left = 0
    for record in records:
        try:
            evaluation = rescore(record, store.folder(record.run_id))
        except BenchmarkError as error:
            if options.runs:
                raise
            left += 1
            print(f"{record.run_id} is left as it is: {error}", file=sys.stderr)
            continue
        differences = _differences(record, evaluation)
        if differences:
            changed += 1
            print(f"{record.run_id}: {'; '.join(differences)} -> {_commit(store, record, evaluation)}")
    print(f"{len(records) - left} runs scored, {changed} changed" + (f", {left} left" if left else ""))
    return 1 if left else 0


def latest(records) -> dict[str, Record]:
    """The last record of every key."""
    found: dict[str, Record] = {}
    for record in records:
        if record.key not in found or record.created_utc >= found[record.key].created_utc:
            found[record.key] = record
    return found


def rescore(record: Record, folder: Path) -> Evaluation:
    """The evaluation of a run's stored answers under today's metrics; raises BenchmarkError where they were not kept."""
    samples: dict[str, np.ndarray] = {}
    for name in ("targets.npz", "predictions.npz"):
        if not (folder / name).is_file():
            raise BenchmarkError(
                f"Run {record.run_id} has no {name}, so it cannot be scored again (published records keep no targets)."
            )
        with np.load(folder / name, allow_pickle=False) as arrays:
            samples |= dict(arrays)
    module = registry.entry("task", record.task).module.removesuffix(".task") + ".metrics"
    metrics = importlib.import_module(module)
    return score(metrics.METRICS, samples, "test", metrics.UNIT, getattr(metrics, "CURVES", ()))


def _differences(record: Record, evaluation: Evaluation) -> list[str]:
    old = {(row.metric, row.condition): row for row in record.quality}
    lines = []
    for row in evaluation.quality:
        before = old.get((row.metric, row.condition))
        name = row.metric if row.condition is None else f"{row.metric} under {row.condition}"
        if before is None:
            lines.append(f"{name} is new")
        elif (before.value, before.metric_version) != (row.value, row.metric_version):
            lines.append(f"{name} {before.value} (v{before.metric_version}) is now {row.value} (v{row.metric_version})")
        elif (before.bounds, before.perfect) != (row.bounds, row.perfect) and row.condition is None:
            lines.append(f"bounds of {name} are new")
    if all(file.name != WORST for file in record.files):
        lines.append("worst units are new")
    if evaluation.curves and all(file.name != OPERATING for file in record.files):
        lines.append("operating curves are new")
    return lines


def _commit(store: Store, record: Record, evaluation: Evaluation) -> str:
    note = f"Scored again from the answers of run {record.run_id}."
    write = partial(write_evaluation, evaluation=evaluation)
    return commit_successor(store, record, note, write, quality=evaluation.quality).run_id
