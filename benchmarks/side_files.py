"""What lies beside a run's record: its answers, the data's targets, and its learning curves."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scoring import Evaluation, write_evaluation
from benchmarks.task import Task
from benchmarks.workbench import Bench

LARGE = 16_000_000
"""Bytes of answers that are kept as they are."""


def write_samples(folder: Path, samples: dict[str, np.ndarray], task: Task, evaluation: Evaluation) -> None:
    """Our answers apart from the data's targets: the first may be published, the second are not ours."""
    theirs = {"unit", "condition", "group", *task.target_names}
    answers: dict[str, Any] = {name: value for name, value in samples.items() if name not in theirs}
    targets: dict[str, Any] = {name: value for name, value in samples.items() if name in {"id", *theirs}}
    # Forecasts of many futures hardly shrink, and packing them would take longer than making them.
    save = np.savez if sum(value.nbytes for value in answers.values()) > LARGE else np.savez_compressed
    save(folder / "predictions.npz", **answers)
    np.savez_compressed(folder / "targets.npz", **targets)
    write_evaluation(folder, evaluation)


def write_history(folder: Path, benches: Iterable[Bench]) -> None:
    """history.csv: one row an epoch over all folds and stages, which need not be judged by the same metric."""
    rows: list[dict[str, Any]] = [
        {"fold": bench.fold, "stage": name, **row}
        for bench in benches
        for name, history in bench.histories.items()
        for row in history.rows
    ]
    if rows:
        with (folder / "history.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)
