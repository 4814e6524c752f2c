"""The end of a run on the terminal: the result beside its base, its controls and what others report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.labels import labels
from benchmarks.leaderboard.record import Quality, Record
from benchmarks.leaderboard.reported import Reported
from benchmarks.leaderboard.statistics.paired import RunScore, paired_difference

if TYPE_CHECKING:
    from rich.table import Table

BASE = "base"
BATCH = 256
COLUMNS = 5
"""Of other metrics and conditions together; more do not fit beside the rest."""


def result_table(
    records: Sequence[tuple[str, Record]],
    reported: Sequence[Reported] = (),
    scores: Mapping[str, RunScore] | None = None,
) -> Table:
    """A rich table with one row a (role, record), then the reported figures of the same models.

    Differences and ratios are to the record with the role `base`. With the runs' replicates (`scores` by run id, see
    `replicates.run_score`) a difference shows its paired interval and whether it is a tie.
    """
    from rich.markup import escape
    from rich.table import Table

    base = next((record for role, record in records if role == BASE), None)
    primary = next((record.primary for _, record in records if record.primary), None)
    conditions = _conditions([record for _, record in records])
    secondary = _secondary([record for _, record in records])[: max(1, COLUMNS - 2 - len(conditions))]
    batch = _batch([record for _, record in records])
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("row")
    table.add_column("model")
    headings = [_name(primary), "to base", *conditions, *map(_name, secondary), "params", f"ms @ {batch}", "training"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    if primary is None:
        return table
    decimals = _decimals([record.primary for _, record in records])
    for (role, record), (label, _) in zip(records, labels([record for _, record in records]), strict=True):
        cells = [_with_interval(record.primary, decimals), _difference(record, base, decimals, scores or {})]
        cells += [numbers.fixed(_under(record, primary, condition), decimals) for condition in conditions]
        cells += [numbers.fixed(record.value(q.metric), _decimals([q])) for q in secondary]
        cells += [
            _with_ratio(numbers.count, record.cost.params_stored, base.cost.params_stored if base else None),
            _with_ratio(numbers.milliseconds, _latency(record, batch), _latency(base, batch) if base else None),
            numbers.seconds(record.cost.train_seconds),
        ]
        name = label if label.split()[0] == role else f"{role} ({label})"
        table.add_row(escape(name), escape(record.model or numbers.DASH), *cells)
    shown = {record.model for _, record in records}
    _add_reported(table, reported, shown, primary, conditions, secondary)
    return table


def _add_reported(table: Table, reported: Sequence[Reported], models: set[str | None], primary: Quality,
                  conditions: Sequence[str], secondary: Sequence[Quality]) -> None:  # fmt: skip
    values = {
        (row.source.title, row.dataset, row.method, row.model, row.metric, row.condition): row for row in reported
    }
    lines = {
        (row.source.title, row.dataset, row.method, row.model): row for row in reported if row.model in {*models, None}
    }
    if lines:
        table.add_section()
    for key, row in lines.items():
        shown = [(primary.metric, None), *((primary.metric, name) for name in conditions)]
        shown += [(quality.metric, None) for quality in secondary]
        figures = [values.get((*key, *each)) for each in shown]
        texts = [numbers.DASH if figure is None else f"{figure.value:.6g}" for figure in figures]
        mark = "reported" if row.comparable else "reported, not comparable"
        cells = [texts[0], numbers.DASH, *texts[1:], numbers.count(row.params), numbers.DASH, numbers.DASH]
        table.add_row(f"{mark} ({row.dataset})", row.model or numbers.DASH, *cells, style="dim")


def _secondary(records: Sequence[Record]) -> list[Quality]:
    found: dict[str, Quality] = {}
    for record in records:
        for quality in record.quality:
            if quality.split == "test" and quality.condition is None and not quality.primary:
                found.setdefault(quality.metric, quality)
    return list(found.values())


def _conditions(records: Sequence[Record]) -> list[str]:
    """The conditions of the primary metric, where there are several and few enough for a column each."""
    names = [q.condition for r in records for q in r.quality if q.primary and q.split == "test" and q.condition]
    found = list(dict.fromkeys(names))
    return found if 1 < len(found) <= COLUMNS else []


def _under(record: Record, primary: Quality, condition: str) -> float | None:
    wanted = (primary.metric, primary.split, condition)
    return next((q.value for q in record.quality if (q.metric, q.split, q.condition) == wanted), None)


def _batch(records: Sequence[Record]) -> int:
    """The batch size at which latency is shown: 256, or the largest that was measured."""
    sizes = {latency.batch for record in records for latency in record.cost.latency_ms}
    return BATCH if BATCH in sizes or not sizes else max(sizes)


def _difference(record: Record, base: Record | None, decimals: int, scores: Mapping[str, RunScore]) -> str:
    if base is None or base is record or not record.primary or not base.primary:
        return numbers.DASH
    if record.primary.value is None or base.primary.value is None:
        return numbers.DASH
    text = numbers.signed(record.primary.value - base.primary.value, decimals)
    if record.run_id not in scores or base.run_id not in scores:
        return text
    found = paired_difference({0: scores[record.run_id]}, {0: scores[base.run_id]})
    if found.tie is None:
        return text
    interval = f"{numbers.signed(found.ci_low, decimals)} to {numbers.signed(found.ci_high, decimals)}"
    return f"{text}{' tie' if found.tie else ''}\n{interval}"


def _with_interval(quality: Quality | None, decimals: int) -> str:
    if quality is None or quality.value is None:
        return numbers.DASH
    text = numbers.fixed(quality.value, decimals)
    if quality.ci_low is None or quality.ci_high is None:
        return text
    return f"{text}\n{numbers.fixed(quality.ci_low, decimals)} to {numbers.fixed(quality.ci_high, decimals)}"


def _with_ratio(show: Callable[[float | None], str], value: float | None, base: float | None) -> str:
    return f"{show(value)} {numbers.ratio(value, base)}".rstrip()


def _latency(record: Record, batch: int) -> float | None:
    return next((latency.median for latency in record.cost.latency_ms if latency.batch == batch), None)


def _decimals(qualities: Sequence[Quality | None]) -> int:
    known = [q for q in qualities if q is not None]
    widths = [(q.ci_high - q.ci_low) / 2 for q in known if q.ci_low is not None and q.ci_high is not None]
    return numbers.column_decimals([q.value for q in known], widths)


def _name(quality: Quality | None) -> str:
    if quality is None:
        return "result"
    return f"{quality.metric} ({quality.unit})" if quality.unit else quality.metric
