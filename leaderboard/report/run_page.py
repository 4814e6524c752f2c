"""What the page of one run shows, read from its side files; a file that is not there leaves its part out."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from benchmarks.leaderboard.labels import flatten, plain
from benchmarks.leaderboard.operating import read_operating
from benchmarks.leaderboard.record import Record, UnreadableRecord
from benchmarks.leaderboard.report.facts import Facts
from benchmarks.leaderboard.report.operating_plot import operating_plot
from benchmarks.leaderboard.report.plots import curve_plot
from benchmarks.leaderboard.report.rows import Run
from benchmarks.leaderboard.worst import Worst, read_pictured, read_worst

LOG_LINES, LOG_WIDTH = 60, 400
"""Lines and signs a line of a log that are shown: progress bars make lines of megabytes."""

LOG_BYTES = 64_000
HISTORY_BYTES = 1_000_000
NOT_DRAWN = frozenset({"stage", "epoch", "step", "seconds", "lr"})


@dataclass(frozen=True)
class RunPage:
    """The parts of a run page beside its record.

    `changed` holds settings of method and model that are not the default, and others that were typed: name, value, default
    (empty where only the typing is known). It is None where the default of the method is not known. `lost` names files that
    the record lists and that are not there. `pictured` leads from a unit to the picture that shows it, if there is one.
    """

    command: str
    settings: list[tuple[str, str]]
    changed: list[tuple[str, str, str]] | None
    curves: Markup | None
    log: str
    log_bytes: int
    pictures: dict[str, bytes]
    lost: list[str]
    worst: Worst | None
    pictured: dict[str, str]
    operating: list[Markup]


def run_page(run: Run, facts: Facts) -> RunPage:
    """Gathers the parts of a run's page; pictures are PNG files by the name that they get beside the page."""
    record, files = run.record, {file.name: file for file in run.record.files}
    lost: list[str] = []

    def read(name: str, most: int) -> bytes:
        if name not in files or ".." in name:
            return b""
        try:
            return run.store.read_end(record, name, most)
        except OSError:
            lost.append(name)
            return b""

    log = read("log.txt", LOG_BYTES).decode("utf-8", errors="replace")
    history = read("history.csv", HISTORY_BYTES).decode("utf-8", errors="replace")
    names = sorted(name for name in files if name.startswith("pictures/") and name.endswith(".png"))
    pictures = {name.replace("/", "-"): read(name, files[name].bytes) for name in names}
    pictures = {name: content for name, content in pictures.items() if content}
    try:
        worst, pictured = read_worst(run.store, record), read_pictured(run.store, record)
    except UnreadableRecord as error:
        worst, pictured = None, {}
        lost.append(f"{str(error).rpartition('/')[2]} (damaged)")
    try:
        operating = [drawn for each in read_operating(run.store, record) if (drawn := operating_plot(each))]
    except UnreadableRecord as error:
        operating = []
        lost.append(f"{str(error).rpartition('/')[2]} (damaged)")
    linked = {unit: f"pictures-{name}" for unit, name in pictured.items()}
    return RunPage(
        command=shlex.join(["python", "-m", "benchmarks", *record.overrides]),
        settings=[(name, plain(value)) for name, value in sorted(flatten(record.config).items())],
        changed=_changed(record, facts),
        curves=_curves(history),
        log="\n".join(_cut(line) for line in log.splitlines()[-LOG_LINES:]),
        log_bytes=files["log.txt"].bytes if "log.txt" in files else 0,
        pictures=pictures,
        lost=lost,
        worst=worst,
        pictured={unit: name for unit, name in linked.items() if name in pictures},
        operating=operating,
    )


def _cut(line: str) -> str:
    """The end of a long line, as a terminal would show the last state of a progress bar."""
    line = line.rsplit("\r", 1)[-1]
    return line if len(line) <= LOG_WIDTH else "\N{HORIZONTAL ELLIPSIS}" + line[-LOG_WIDTH:]


def _changed(record: Record, facts: Facts) -> list[tuple[str, str, str]] | None:
    """Settings that differ from today's defaults, if those are of the version that ran, and what else was set by hand."""
    method, model = facts.methods.get(record.method), facts.models.get(record.model or "", {})
    if method is None or method.get("version", 1) != record.method_version:
        return None
    defaults: Mapping[str, Any] = flatten({"method": method, "model": model})
    known = flatten({group: record.config.get(group, {}) for group in ("method", "model")})
    differing = [
        (name, plain(value), plain(defaults.get(name)))
        for name, value in sorted(known.items())
        if (name.startswith("method.") or model) and plain(value) != plain(defaults.get(name))
    ]
    # Defaults of other groups depend on task and scale; what was typed is known all the same.
    typed = {override.lstrip("+~").partition("=")[0] for override in record.overrides}
    return differing + [
        (name, plain(value), "")
        for name, value in sorted(flatten(record.config).items())
        if name in typed and "." in name and name not in known
    ]


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
