"""A section as a table of cells: what is shown, what is sorted by, and why a figure is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.record import Quality
from benchmarks.leaderboard.report.plots import interval_bar
from benchmarks.leaderboard.report.rows import Figure, Row, latency_figure, memory_figure
from benchmarks.leaderboard.report.sections import Section

NAMES = {
    "params_stored": ("params", "parameters that must be shipped, shared ones once", numbers.count),
    "bytes_stored": ("size", "bytes on disk of what must be shipped", lambda value: numbers.short(value, "B")),
    "flops": ("FLOPs", "floating-point operations of one prediction", numbers.short),
    "peak_mem": ("memory", "peak memory", lambda value: numbers.short(value, "B")),
    "train_seconds": ("training", "time to train or compress", numbers.seconds),
}

MOST_MACHINES = 6
"""Groups of hardware with columns and plots of their own, those with most runs; costs are never compared between groups."""


@dataclass(frozen=True)
class Column:
    """A column: its heading and an explanation. Numbers sort by value and stand on the right.

    `machine` is the place of a group of hardware in `machines_shown`, whose figures the column holds; None for all others.
    """

    key: str
    heading: str
    explanation: str = ""
    numeric: bool = True
    direction: str = ""
    machine: int | None = None

    @cached_property
    def kind(self) -> str:
        """The classes of its cells."""
        return " ".join(["num"] * self.numeric + ([f"m{self.machine}"] if self.machine is not None else []))


@dataclass(frozen=True)
class Cell:
    """What one cell shows: text, a second line, a drawing; `sort` is its number or text, None where it is missing."""

    text: str
    sort: float | str | None
    title: str = ""
    note: str = ""
    verdict: str = ""
    drawing: Markup | None = None


@dataclass(frozen=True, eq=False)
class Table:
    """Columns, and for each row its cells."""

    columns: list[Column]
    rows: list[tuple[Row, list[Cell]]]


def table(section: Section) -> Table:
    """The table of a section, in the order of its rows."""
    builders = _builders(section)
    rows = [(row, [build(row) for _, build in builders]) for row in section.rows]
    return Table([column for column, _ in builders], rows)


def machines_shown(section: Section) -> list[tuple[str, str]]:
    """The groups of hardware that readers choose from, that of most latencies first; one or none is no choice."""
    return section.plan.machines[:MOST_MACHINES]


def metric_name(quality: Quality) -> str:
    """The metric with its unit."""
    return f"{quality.metric} ({quality.unit})" if quality.unit else quality.metric


def bounds_text(quality: Quality) -> str:
    """What values a metric may have and which is perfect, as it declares them; empty where it declares nothing."""
    low, high = quality.bounds or (None, None)
    parts = []
    if low is not None and high is not None:
        parts.append(f"from {low:g} to {high:g}")
    elif low is not None or high is not None:
        parts.append(f"at least {low:g}" if low is not None else f"at most {high:g}")
    parts += [f"perfect at {quality.perfect:g}"] if quality.perfect is not None else []
    return ", ".join(parts)


def _builders(section: Section) -> list[tuple[Column, Callable[[Row], Cell]]]:
    found: list[tuple[Column, Callable[[Row], Cell]]] = [
        (Column("model", "model", numeric=False), lambda row: Cell(row.model or numbers.DASH, row.model)),
    ]
    if section.primary:
        found.append(primary_column(section, section.primary))
        if not section.unranked:
            found.append(difference_column(section, section.primary))
        found += [_condition(section, section.primary, name) for name in section.plan.conditions]
    found += [_metric(section, quality) for quality in section.plan.metrics]
    machines = machines_shown(section)
    for name in NAMES:
        by_machine = name == "peak_mem" and len(machines) > 1
        found += [_memory(section, place) for place in range(len(machines))] if by_machine else [_cost(name)]
    places = range(max(1, len(machines)))
    found += [_latency(section, batch, place) for batch in section.plan.batches for place in places]
    found += [
        (Column("seeds", "seeds", "runs in the row"), lambda row: Cell(str(len(row.runs)), len(row.runs))),
        (Column("tuned", "settings", "tuned on validation, or the default", numeric=False), _tuned),
        (Column("commit", "commit", numeric=False), _commit),
        (Column("hardware", "hardware", numeric=False), _hardware),
    ]
    return found


def primary_column(section: Section, quality: Quality) -> tuple[Column, Callable[[Row], Cell]]:
    """The primary metric with its interval, drawn on the scale of all rows of the section."""
    figures = [row.primary for row in section.rows]
    values = [figure.value for figure in figures if figure.value is not None]
    low, high = numbers.usual_range(values) if values else (0.0, 1.0)
    shown = [f for f in figures if f.value is not None and low <= f.value <= high]
    ends = [end for f in shown for end in (f.value, f.low, f.high) if end is not None]
    scale = (min(ends), max(ends)) if ends else (0.0, 1.0)
    decimals = decimals_of(figures)

    def build(row: Row) -> Cell:
        figure = row.primary
        if figure.value is None:
            return missing(figure)
        notes = []
        if figure.low is not None:
            notes.append(f"{numbers.fixed(figure.low, decimals)} to {numbers.fixed(figure.high, decimals)}")
        if figure.std is not None:
            notes.append(f"± {numbers.fixed(figure.std, decimals)}")
        bar = interval_bar(figure.value, figure.low, figure.high, scale)
        title = f"95 % interval ({_interval_kind(row)})" if figure.low is not None else "no interval is stored"
        if figure.std is not None:
            title = f"± is the sample standard deviation of {figure.n} seeds; {title}"
        return Cell(numbers.fixed(figure.value, decimals), figure.value, title, ", ".join(notes), drawing=bar)

    explanation = "; ".join(filter(None, ["primary metric, mean over seeds", bounds_text(quality)]))
    return Column(quality.metric, metric_name(quality), explanation, direction=quality.direction), build


def _interval_kind(row: Row) -> str:
    if row.primary.n > 1:
        return "bootstrap over seeds and units of the test set"
    quality = row.record.primary
    return (quality.ci_kind if quality else None) or "bootstrap over units of the test set, one seed"


def difference_column(section: Section, quality: Quality) -> tuple[Column, Callable[[Row], Cell]]:
    """The difference to the base row with its verdict."""
    decimals = decimals_of([row.primary for row in section.rows])

    def build(row: Row) -> Cell:
        found = row.difference
        if found is None or found.difference is None:
            reason = "this is the base" if row.method == "none" else "there is no single base row to compare with"
            if row.base is not None:
                reason = row.primary.reason or row.base.primary.reason or "not measured"
            return Cell(numbers.DASH, None, found.reason or reason if found else reason)
        text = numbers.signed(found.difference, decimals)
        if row.verdict is None:
            return Cell(text, found.difference, found.reason or "", "not tested")
        seeds = f"{found.seeds} paired seed{'s' * (found.seeds != 1)}" if found.seeds else "seeds not paired"
        interval = f"{numbers.signed(found.ci_low, decimals)} to {numbers.signed(found.ci_high, decimals)}"
        title = f"95 % interval {interval}, {seeds}, against {row.base.name if row.base else 'base'}"
        return Cell(text, found.difference, title, f"{row.verdict}, p {numbers.probability(found.p_holm)}", row.verdict)

    explanation = f"{quality.metric} less that of the base row; p after Holm's correction"
    return Column("difference", "to base", explanation), build


def _condition(section: Section, quality: Quality, name: str) -> tuple[Column, Callable[[Row], Cell]]:
    decimals = decimals_of([row.conditions[name] for row in section.rows])

    def build(row: Row) -> Cell:
        figure, found = row.conditions[name], row.differences.get(name)
        if figure.value is None:
            return missing(figure)
        title = ""
        if figure.low is not None:
            interval = f"{numbers.fixed(figure.low, decimals)} to {numbers.fixed(figure.high, decimals)}"
            title = f"95 % interval {interval}"
        note = ""
        if found is not None and found.difference is not None:
            note = numbers.signed(found.difference, decimals)
            if found.ci_low is not None:
                interval = f"{numbers.signed(found.ci_low, decimals)} to {numbers.signed(found.ci_high, decimals)}"
                note = f"{note} ({interval})"
        return Cell(numbers.fixed(figure.value, decimals), figure.value, title, note)

    explanation = f"{quality.metric} under the condition {name}; below it the difference to base, paired, 95 % interval"
    return Column(f"condition_{name}", name, explanation, direction=quality.direction), build


def _metric(section: Section, quality: Quality) -> tuple[Column, Callable[[Row], Cell]]:
    decimals = decimals_of([row.metrics[quality.metric] for row in section.rows])

    def build(row: Row) -> Cell:
        figure = row.metrics[quality.metric]
        if figure.value is None:
            return missing(figure)
        spread = f"± {numbers.fixed(figure.std, decimals)}" if figure.std is not None else ""
        return Cell(numbers.fixed(figure.value, decimals), figure.value, note=spread)

    wish = {"max": "more is better", "min": "less is better", "target": "has a target"}[quality.direction]
    explanation = "; ".join(filter(None, [wish, bounds_text(quality)]))
    return Column(quality.metric, metric_name(quality), explanation, direction=quality.direction), build


def _cost(name: str) -> tuple[Column, Callable[[Row], Cell]]:
    heading, explanation, show = NAMES[name]

    def build(row: Row) -> Cell:
        figure = row.cost[name]
        if figure.value is None:
            return missing(figure)
        of_base = row.base.cost[name].value if row.base and name != "train_seconds" else None
        return Cell(show(figure.value), figure.value, note=numbers.ratio(figure.value, of_base))

    return Column(name, heading, explanation, direction="min"), build


def _memory(section: Section, place: int) -> tuple[Column, Callable[[Row], Cell]]:
    machine = machines_shown(section)[place]
    heading, explanation, show = NAMES["peak_mem"]

    def build(row: Row) -> Cell:
        figure = memory_figure(row.runs, machine)
        if figure.value is None:
            return missing(figure)
        of_base = memory_figure(row.base.runs, machine).value if row.base else None
        return Cell(show(figure.value), figure.value, note=numbers.ratio(figure.value, of_base))

    return Column("peak_mem", heading, f"{explanation} on {machine[1]}", direction="min", machine=place), build


def _latency(section: Section, batch: int, place: int) -> tuple[Column, Callable[[Row], Cell]]:
    """The latency on the machine at that place; the first is that of the rows themselves."""
    machines = machines_shown(section)
    machine = machines[place] if machines else section.plan.hardware

    def of(row: Row) -> Figure:
        return row.latency[batch] if machine == section.plan.hardware else latency_figure(row.runs, batch, machine)

    def build(row: Row) -> Cell:
        figure = of(row)
        if figure.value is None:
            return missing(figure)
        of_base = of(row.base).value if row.base else None
        return Cell(numbers.milliseconds(figure.value), figure.value, note=numbers.ratio(figure.value, of_base))

    explanation = f"median latency in milliseconds at batch {batch} on {machine[1] if machine else ''}"
    chosen = place if len(machines) > 1 else None
    return Column(f"latency_{batch}", f"ms @ {batch}", explanation, direction="min", machine=chosen), build


def _tuned(row: Row) -> Cell:
    text = "tuned" if row.record.tuned else "default"
    return Cell(text, text)


def _commit(row: Row) -> Cell:
    provenance = [run.record.provenance for run in row.runs]
    shas = sorted({p.git_sha[:7] + ("+" if p.git_dirty else "") for p in provenance if p.git_sha})
    title = "+ means with uncommitted changes" if any(p.git_dirty for p in provenance) else ""
    return Cell(", ".join(shas), shas[0], title) if shas else Cell(numbers.DASH, None, "not recorded")


def _hardware(row: Row) -> Cell:
    machines = sorted({run.hardware[1] for run in row.runs})
    return Cell("; ".join(machines), machines[0])


def decimals_of(figures: Sequence[Figure]) -> int:
    """Decimals for a column of figures."""
    widths = [(f.high - f.low) / 2 for f in figures if f.low is not None and f.high is not None]
    deviations = [figure.std for figure in figures]
    return numbers.column_decimals([figure.value for figure in figures], widths or deviations)


def missing(figure: Figure) -> Cell:
    """A dash that says why there is no figure."""
    return Cell(numbers.DASH, None, figure.reason or "not measured")
