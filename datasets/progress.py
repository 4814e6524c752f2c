"""A progress bar on stderr, drawn only where a person looks at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """A bar counted in bytes; `total` is unknown until it is set. It has the methods that pooch's downloader calls."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self._total = 0

    @property
    def total(self) -> int:
        """Bytes expected; 0 where the source does not say."""
        return self._total

    @total.setter
    def total(self, value: int) -> None:
        self._total = value
        self._progress.update(self._task, total=value or None)

    def update(self, count: int) -> None:
        """Adds `count` bytes."""
        self._progress.update(self._task, advance=count)

    def reset(self) -> None:
        """Starts again from nothing."""
        self._progress.reset(self._task, total=self._total or None)

    def close(self) -> None:
        """Leaves the bar as it stands; the context removes it."""


@contextmanager
def bar(description: str, *, shown: bool = True) -> Iterator[Bar]:
    """A bar that disappears at the end; nothing is drawn where stderr is no terminal or `shown` is false."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not (shown and console.is_terminal)) as progress:
        yield Bar(progress, progress.add_task(description, total=None))
