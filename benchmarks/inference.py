"""Running a solver over a split: the one loop that evaluation, epoch selection and prediction share."""

from __future__ import annotations

import numpy as np

from benchmarks.datasets.bundle import Split
from benchmarks.progress import Bar
from benchmarks.solver import Solver
from benchmarks.task import Task, concatenate


def answers(solver: Solver, split: Split, batch_size: int, title: str | None = None) -> dict[str, np.ndarray]:
    """A solver's outputs for every sample of a split, in order; shows a bar where a title is given."""
    parts = []
    with Bar(title or "", len(split), visible=title is not None) as bar:
        for batch in split.batches(batch_size):
            parts.append(solver.predict(batch))
            bar.advance(len(next(iter(batch.values()))))
    return concatenate(parts)


def collect(
    solver: Solver, split: Split, task: Task, batch_size: int, title: str | None = None
) -> dict[str, np.ndarray]:
    """The samples of a split as metrics want them: ids, units, targets and the solver's answers."""
    targets = {name: split.columns[name] for name in task.target_names if name in split.columns}
    beside = {"condition": split.conditions, "group": split.groups}
    kept = {name: column for name, column in beside.items() if column is not None}
    return {
        "id": split.ids,
        "unit": split.units,
        **kept,
        **targets,
        **answers(solver, inputs(split, task), batch_size, title),
    }


def inputs(split: Split, task: Task) -> Split:
    """The split as a solver may see it: without the targets, which no method may answer with."""
    seen = {name: column for name, column in split.columns.items() if name not in task.target_names}
    return Split(seen, split.ids, split.units, split.conditions, split.groups)
