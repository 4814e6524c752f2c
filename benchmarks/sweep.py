"""Sweeps: every point of a product of settings is a run of its own, here one by one or by one of Hydra's launchers.

All points are composed and checked before the first one is made, so that a typo in the last one costs nothing. What does not
fit together is a skipped row, and a point that fails ends no other.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.app import SWEEP_FLAGS
from benchmarks.config import expand
from benchmarks.errors import BenchmarkError, Misfit
from benchmarks.launchers import ALONE, launch, launcher_of
from benchmarks.leaderboard.record import utc_now
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.sweep_table import FINE, SweepRow, remarks, sweep_table, write_csv
from benchmarks.result import announce, bring_report_up_to_date
from benchmarks.spec import RunSpec
from benchmarks.together import RESULT, AlreadyThere, together

SWEEPS = ".sweeps"
"""Below the store: a folder a sweep, with its rows and whatever its launcher leaves."""


@dataclass(frozen=True)
class Job:
    """All points of a sweep. Called with the number of one, as Hydra's launchers do in their processes, it makes that point's
    run and returns its row, whatever happens."""

    points: tuple[tuple[str, ...], ...]

    def __call__(self, config: Any) -> SweepRow:
        from benchmarks.accelerators import take

        take()
        return self.make(int(config["point"]))

    def make(self, number: int) -> SweepRow:
        """The row of a point; only an interrupt gets through."""
        words = list(self.points[number])
        started = time.perf_counter()
        try:
            row = _made(number, words)
        except Exception as error:  # nothing of one point may end the others
            row = SweepRow(point=number, words=words, status="failed", reason=f"{type(error).__name__}: {error}")
        row.seconds = time.perf_counter() - started
        self.tell(row)
        return row

    def tell(self, row: SweepRow) -> None:
        """A line about a point that is done, in what it differs from the others by."""
        words = [word for word in row.words if any(word not in point for point in self.points)]
        shown = (
            f" {row.primary.metric} {row.primary.value:.4f}" if row.primary and row.primary.value is not None else ""
        )
        because = f" {row.reason}" if row.reason else ""
        text = f"[{row.point + 1}/{len(self.points)}] {row.status}: {' '.join(words)}{shown}, {row.seconds or 0:.1f} s{because}"
        announce(text, error=row.status not in FINE)


def main(argv: Sequence[str]) -> int:
    """Makes a sweep, shows its table and brings the report up to date once; 1 where any point went wrong."""
    words = [word for word in argv if word not in SWEEP_FLAGS]
    launching = [word for word in words if word.startswith("hydra")]
    points = expand([word for word in words if word not in launching])
    specs, rows = _checked(points)
    name = launcher_of(launching)
    first = next(iter(specs.values()))
    store = Store(first.config["store"])
    for record in store.recover():
        announce(f"An earlier run was cut off: {record.run_id} is now marked {record.status}.")
    folder = store.work / SWEEPS / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"
    since = utc_now()
    # Bars of several processes would write over each other.
    quiet = ["trainer.progress=false"] if name and not any("trainer.progress=" in word for word in words) else []
    job = Job(tuple((*point, *quiet) for point in points))
    interrupted: KeyboardInterrupt | None = None
    try:
        if name is None:
            for number in specs:
                rows[number] = job.make(number)
        else:
            for number, found in launch(name, job, list(specs), launching, folder):
                rows[number] = found if isinstance(found, SweepRow) else _lost(job, number, specs[number], since, found)
                if name in ALONE:  # what such a job says goes to a file of its own
                    job.tell(rows[number])
    except KeyboardInterrupt as stop:
        interrupted = stop
        for number in specs.keys() - rows.keys():
            rows[number] = _lost(job, number, specs[number], since, stop)
    finish([rows[number] for number in sorted(rows)], folder / "sweep.csv")
    if any(spec.config["report"] for spec in specs.values()) and any(row.run_id for row in rows.values()):
        bring_report_up_to_date(store)
    if interrupted is not None:
        raise interrupted
    if all(row.status == "skipped" and row.run_id is None for row in rows.values()):
        raise Misfit(str(rows[min(specs)].reason))
    return 0 if all(row.status in FINE for row in rows.values()) else 1


def finish(rows: Sequence[SweepRow], path: Path) -> None:
    """Shows the table of a sweep and keeps it as CSV."""
    from rich.console import Console

    write_csv(rows, path)
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(sweep_table(rows))
    for line in remarks(rows):
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    console.print(f"sweep   {path}", soft_wrap=True, highlight=False, markup=False)


def _checked(points: Sequence[Sequence[str]]) -> tuple[dict[int, RunSpec], dict[int, SweepRow]]:
    """The runs to be made, and rows of what does not fit; raises BenchmarkError for a mistake in any of them."""
    specs, rows, problems = {}, {}, []
    for number, point in enumerate(points):
        try:
            if problem := _plain_misfit(point):
                raise Misfit(problem)
            spec = RunSpec.of(point)
        except Misfit as misfit:
            problems.append(misfit)
            rows[number] = SweepRow(point=number, words=list(point), status="skipped", reason=str(misfit))
            continue
        if spec.config["trainer"]["devices"] > 1:
            raise BenchmarkError(
                f"trainer.devices={spec.config['trainer']['devices']} in a sweep: the processes of one run would repeat "
                f"the whole sweep. "
                f"Give each run one device, or type one run: python -m benchmarks {' '.join(point)}"
            )
        specs[number] = spec
    if not specs:
        raise problems[0]
    return specs, rows


def _plain_misfit(point: Sequence[str]) -> str | None:
    """Why a task and a method that are both named do not fit; composing all of it takes a tenth of a second, and in a
    sweep over all tasks and methods most do not."""
    typed = dict(word.partition("=")[::2] for word in point)
    task, method = typed.get("task"), typed.get("method")
    if "experiment" in typed or task not in registry.entries("task") or method not in registry.entries("method"):
        return None
    return registry.misfit(str(task), str(method))


def _made(number: int, words: list[str]) -> SweepRow:
    try:
        spec = RunSpec.of(words)
        made = together(spec, Store(spec.config["store"]))
    except AlreadyThere as there:
        row = SweepRow.of(number, words, there.record)
        row.status, row.reason = "skipped", str(there)
        return row
    except Misfit as problem:
        return SweepRow(point=number, words=words, status="skipped", reason=str(problem))
    except BenchmarkError as problem:
        return SweepRow(point=number, words=words, status="refused", reason=str(problem))
    if record := made.rows.get(RESULT) or made.failed.get(RESULT):
        return SweepRow.of(number, words, record)
    return SweepRow(point=number, words=words, status="failed", reason=made.failures[RESULT])


def _lost(job: Job, number: int, spec: RunSpec, since: str, error: BaseException) -> SweepRow:
    """The row of a point whose process said nothing: what the store has of it since the sweep began."""
    store = Store(spec.config["store"])
    store.recover()
    same = [record for record in store.records(spec.task) if record.key == spec.key and record.created_utc >= since]
    words = job.points[number]
    if same:
        return SweepRow.of(number, words, max(same, key=lambda record: record.created_utc))
    if isinstance(error, KeyboardInterrupt):
        return SweepRow(point=number, words=list(words), status="interrupted", reason="not begun")
    first = next(iter(str(error).splitlines()), "")
    return SweepRow(
        point=number, words=list(words), status="lost", reason=f"{type(error).__name__}: {first}".rstrip(": ")
    )
