"""Running a solver over a split: the one loop that evaluation, epoch selection and prediction share."""

from __future__ import annotations

import numpy as np

from benchmarks.datasets.bundle import Split
from benchmarks.progress import Bar
from benchmarks.solver import Solver
from benchmarks.task import Task


def answers(solver: Solver, split: Split, batch_size: int, title: str | None = None) -> dict[str, np.ndarray]:
    """A solver's outputs for every sample of a split, in order; shows a bar where a title is given.

    They are put into arrays of their final size: parts that are kept would be held twice in the end, and lie between what large
    batches leave behind, so that none of it goes back to the system.
    """
    made: dict[str, np.ndarray] = {}
    done = 0
    with Bar(title or "", len(split), visible=title is not None) as bar:
        for batch in split.batches(batch_size):
            rows = len(next(iter(batch.values())))
            for name, part in solver.predict(batch).items():
                if name not in made:
                    made[name] = np.empty((len(split), *part.shape[1:]), part.dtype)
                made[name][done : done + rows] = part
            done += rows
            bar.advance(rows)
    return made


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
