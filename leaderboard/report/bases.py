"""Which row a row is compared with, and whose network it made smaller."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from benchmarks.leaderboard.labels import settings_read
from benchmarks.leaderboard.report.facts import TaskFacts
from benchmarks.leaderboard.report.rows import Row

BASE = "none"
"""The method whose rows the others are compared with, where the task names no other: the uncompressed network."""


class Bases:
    """Finds the base of each row of a cell."""

    def __init__(self, rows: Sequence[Row], task: TaskFacts) -> None:
        self.task = task
        self.row_of_run = {run.record.run_id: row for row in rows for run in row.runs}
        self.rows_of_method: dict[str, list[Row]] = defaultdict(list)
        self._flat: dict[Row, dict[str, Any]] = {}
        for row in rows:
            self.rows_of_method[row.method].append(row)

    def of(self, row: Row) -> Row | None:
        """The row of the run that this one started from, or that of the task's base method with the same settings."""
        method = self.task.bases.get(str(row.record.config.get("method", {}).get("kind")), BASE)
        if row.method == method:
            return None
        return self._started_from(row) or self._alike(row, method)

    def network_of(self, row: Row) -> Row | None:
        """The row of the uncompressed network that this one's stored size is a share of.

        For a network trained from scratch that is the `none` row with the same settings: the network it is narrower than.
        """
        if row.method == BASE:
            return None
        # A share of another network's size would be a wrong figure, where a difference to it is but a less fitting one.
        return self._started_from(row) or self._alike(row, BASE, exact=True)

    def _started_from(self, row: Row) -> Row | None:
        found = (self.row_of_run.get(run.record.base_run) for run in row.runs if run.record.base_run)
        return next((base for base in found if base is not None and base is not row), None)

    def _alike(self, row: Row, method: str, *, exact: bool = False) -> Row | None:
        """The only row of a method for this model; of several the only one that agrees in the model's settings, or in all.

        One model can stand in a cell in several sizes, and a network trained from scratch names no run that it began with.
        With `exact` a single row must agree in the model's settings too.
        """
        found = [
            other for other in self.rows_of_method[method] if other is not row and other.model in (row.model, None)
        ]
        if exact or len(found) > 1:
            found = [other for other in found if self._agree(row, other, "model.")]
        if len(found) > 1:
            found = [other for other in found if self._agree(row, other, "")]
        return found[0] if len(found) == 1 else None

    def _agree(self, row: Row, base: Row, group: str) -> bool:
        """Whether two rows share the settings of a group; a key that one of them does not know decides nothing."""
        mine, theirs = self._settings(row), self._settings(base)
        return all(mine[name] == theirs[name] for name in mine.keys() & theirs.keys() if name.startswith(group))

    def _settings(self, row: Row) -> dict[str, Any]:
        if row not in self._flat:
            # Fine-tuning is a setting of compressed rows alone, though every configuration carries it.
            flat = settings_read(row.record.config)
            self._flat[row] = {name: flat[name] for name in flat if not name.startswith(("method.", "finetune."))}
        return self._flat[row]
