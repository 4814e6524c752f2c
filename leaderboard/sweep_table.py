"""What became of every point of a sweep: a row each, as a table on the terminal and as CSV."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.record import Quality, Record, Status

if TYPE_CHECKING:
    from rich.table import Table

Outcome = Status | Literal["refused", "lost"]
"""How a point ends: as its record does; `skipped` where nothing was to be made, `refused` for a mistake in its settings, and
`lost` where its process ended without a word."""
FINE: tuple[Outcome, ...] = ("ok", "skipped")


class SweepRow(msgspec.Struct, kw_only=True):
    """One point: what was typed for it, how it ended and why, its record and what that says, and the seconds it took."""

    point: int
    words: list[str]
    status: Outcome
    reason: str | None = None
    run_id: str | None = None
    task: str | None = None
    method: str | None = None
    model: str | None = None
    dataset: str | None = None
    seed: int | None = None
    primary: Quality | None = None
    params_stored: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, point: int, words: Sequence[str], record: Record, seconds: float | None = None) -> SweepRow:
        """The row of a point that left a record."""
        failure = record.failure
        return cls(
            point=point, words=list(words), status=record.status, seconds=seconds, run_id=record.run_id, task=record.task,
            method=record.method, model=record.model, dataset=record.dataset, seed=record.seed, primary=record.primary,
            params_stored=record.cost.params_stored,
            reason=f"{failure.phase}: {failure.exception}: {failure.message}".rstrip(": ") if failure else None,
        )  # fmt: skip


def varied(rows: Iterable[SweepRow]) -> list[str]:
    """The keys that differ between the points, in the order typed."""
    values: dict[str, set[str]] = {}
    for row in rows:
        for key, value in _typed(row).items():
            values.setdefault(key, set()).add(value)
    return [key for key, found in values.items() if len(found) > 1]


def sweep_table(rows: Sequence[SweepRow]) -> Table:
    """Methods (or whatever else differs) by tasks where a sweep has several tasks, and otherwise a line a point."""
    keys = varied(rows)
    rest = [key for key in keys if key != "task"]
    places = {(*(_typed(row).get(key, "") for key in rest), _typed(row).get("task")) for row in rows}
    return _across(rows, rest) if "task" in keys and rest and len(places) == len(rows) else _lines(rows, keys)


def remarks(rows: Sequence[SweepRow], most: int = 8) -> list[str]:
    """How many points ended how, and then why: every one that went wrong, and each reason of those that were skipped, unless
    there are more than `most`."""
    counts = Counter(row.status for row in rows)
    lines = [f"{len(rows)} points: " + ", ".join(f"{count} {status}" for status, count in counts.most_common())]
    lines += [f"{row.status}: {' '.join(row.words)}: {row.reason or ''}" for row in rows if row.status not in FINE]
    skipped = list(dict.fromkeys(row.reason or "" for row in rows if row.status == "skipped"))
    return lines + [f"skipped: {reason}" for reason in skipped if len(skipped) <= most]


def write_csv(rows: Sequence[SweepRow], path: Path) -> None:
    """All rows with all that is known of them; of one without a record, what was typed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = [name for name in SweepRow.__struct_fields__ if name not in ("words", "primary")]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([*fields, "overrides", "metric", "value", "ci_low", "ci_high"])
        for row in rows:
            typed, q = _typed(row), row.primary
            known = [typed.get(name) if (value := getattr(row, name)) is None else value for name in fields]
            figures = [None] * 4 if q is None else [q.metric, q.value, q.ci_low, q.ci_high]
            writer.writerow([*known, " ".join(row.words), *figures])


def _lines(rows: Sequence[SweepRow], keys: Sequence[str]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    metrics = {row.primary.metric for row in rows if row.primary}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for key in keys or ["point"]:
        table.add_column(key)
    for heading in ("status", metrics.pop() if len(metrics) == 1 else "result", "95 % interval", "params", "seconds"):
        table.add_column(heading, justify="left" if heading == "status" else "right", no_wrap=True)
    decimals = {name: _decimals(row.primary for row in rows if row.primary and row.primary.metric == name)
                for name in {row.primary.metric for row in rows if row.primary}}  # fmt: skip
    several = len(decimals) > 1
    for row in rows:
        q = row.primary
        value, interval = numbers.DASH, numbers.DASH
        if q is not None:
            value = (f"{q.metric} " if several else "") + numbers.fixed(q.value, decimals[q.metric])
            if q.ci_low is not None and q.ci_high is not None:
                interval = " to ".join(numbers.fixed(end, decimals[q.metric]) for end in (q.ci_low, q.ci_high))
        names = [_typed(row).get(key, "") for key in keys] or [str(row.point)]
        cells = [row.status, value, interval, numbers.count(row.params_stored), numbers.seconds(row.seconds)]
        table.add_row(*map(escape, names), *cells, style=None if row.status in FINE else "red")
    return table


def _across(rows: Sequence[SweepRow], rest: Sequence[str]) -> Table:
    """A column a task, since figures of different tasks have no order; a dash where nothing fits."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for key in rest:
        table.add_column(key)
    tasks = list(dict.fromkeys(_typed(row)["task"] for row in rows))
    decimals = {}
    for task in tasks:
        known = [row.primary for row in rows if _typed(row)["task"] == task and row.primary]
        decimals[task] = _decimals(known)
        table.add_column(f"{task}\n{known[0].metric if known else ''}".rstrip(), justify="right", no_wrap=True)
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        words = _typed(row)
        value = numbers.fixed(row.primary.value, decimals[words["task"]]) if row.primary else numbers.DASH
        shown = value if row.status in FINE else row.status
        lines.setdefault(tuple(words.get(key, "") for key in rest), {})[words["task"]] = shown
    for names, cells in lines.items():
        if any(cell != numbers.DASH for cell in cells.values()):
            table.add_row(*map(escape, names), *(cells.get(task, numbers.DASH) for task in tasks))
    return table


def _typed(row: SweepRow) -> Mapping[str, str]:
    return dict(word.lstrip("+").partition("=")[::2] for word in row.words)


def _decimals(qualities: Iterable[Quality]) -> int:
    known = list(qualities)
    widths = [(q.ci_high - q.ci_low) / 2 for q in known if q.ci_low is not None and q.ci_high is not None]
    return numbers.column_decimals([q.value for q in known], widths)
