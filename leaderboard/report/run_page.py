"""What the page of one run shows, read from its side files; a file that is not there leaves its part out."""

from __future__ import annotations

import csv
import io
import shlex
from dataclasses import dataclass

from markupsafe import Markup

from benchmarks.leaderboard.labels import flatten, plain
from benchmarks.leaderboard.report.plots import curve_plot
from benchmarks.leaderboard.report.rows import Run

LOG_LINES = 60
NOT_DRAWN = frozenset({"stage", "epoch", "step", "seconds", "lr"})


@dataclass(frozen=True)
class RunPage:
    """The parts of a run page beside its record."""

    command: str
    settings: list[tuple[str, str]]
    curves: Markup | None
    log: str
    pictures: dict[str, bytes]


def run_page(run: Run) -> RunPage:
    """Gathers the parts of a run's page; pictures are PNG files by the name that they get beside the page."""
    record = run.record
    names = {file.name for file in record.files}
    log = _text(run, "log.txt") if "log.txt" in names else ""
    pictures = sorted(name for name in names if name.startswith("pictures/") and name.endswith(".png"))
    return RunPage(
        command=shlex.join(["python", "-m", "benchmarks", *record.overrides]),
        settings=[(name, plain(value)) for name, value in sorted(flatten(record.config).items())],
        curves=_curves(_text(run, "history.csv")) if "history.csv" in names else None,
        log="\n".join(log.splitlines()[-LOG_LINES:]),
        pictures={name.replace("/", "-"): run.store.read_file(record, name) for name in pictures},
    )


def _text(run: Run, name: str) -> str:
    return run.store.read_file(run.record, name).decode("utf-8", errors="replace")


def _curves(history: str) -> Markup | None:
    """Losses and metrics of each stage over the epoch, or over the step where no epochs were counted."""
    lines = list(csv.DictReader(io.StringIO(history)))
    if not lines:
        return None
    axis = "epoch" if lines[0].get("epoch") else "step"
    stages = list(dict.fromkeys(line.get("stage", "") for line in lines))
    series = []
    for stage in stages:
        own = [line for line in lines if line.get("stage", "") == stage]
        for name in (name for name in lines[0] if name and name not in NOT_DRAWN):
            points = [(_number(line, axis), _number(line, name)) for line in own]
            known = [(x, y) for x, y in points if x is not None and y is not None]
            series.append((f"{name} ({stage})" if len(stages) > 1 else name, known))
    return curve_plot(series, x=axis, title="Learning curves: " + ", ".join(name for name, points in series if points))


def _number(line: dict[str, str], name: str) -> float | None:
    try:
        value = float(line[name])
    except (KeyError, TypeError, ValueError):
        return None
    return value if value - value == 0 else None
