"""Progress bars: rich, on standard error, one at a time."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar:
    """A progress bar with a remark. `total` may be set later; a bar left early shows how far it came."""

    def __init__(self, title: str, total: int | None = None, visible: bool = True) -> None:
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[note]}"),
            console=Console(stderr=True),
            disable=not visible,
            refresh_per_second=4,
        )
        self._task = self._progress.add_task(title, total=total, note="")

    @property
    def total(self) -> float | None:
        """Steps until the bar is full."""
        return self._progress.tasks[0].total

    @total.setter
    def total(self, steps: int) -> None:
        self._progress.update(self._task, total=steps)

    def advance(self, steps: int = 1) -> None:
        """Goes on by some steps."""
        self._progress.advance(self._task, steps)

    def note(self, text: str) -> None:
        """Says what was last reached."""
        self._progress.update(self._task, note=text)

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.stop()


class quiet:  # noqa: N801 - reads as a statement
    """Silences Lightning's remarks on hardware, loaders and tips: a run has one voice, the progress bar."""

    def __enter__(self) -> None:
        self.loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
        self.levels = [logger.level for logger in self.loggers]
        for logger in self.loggers:
            logger.setLevel(logging.ERROR)
        self.caught = warnings.catch_warnings()
        self.caught.__enter__()
        warnings.filterwarnings("ignore", module="lightning")

    def __exit__(self, *error: Any) -> None:
        self.caught.__exit__(None, None, None)
        for logger, level in zip(self.loggers, self.levels, strict=True):
            logger.setLevel(level)
